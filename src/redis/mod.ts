/**
 * Many nodes as one endpoint, on Redis.
 *
 * @module
 */
export {};
