/**
 * The `mooring` command.
 *
 * @module
 */
export {};
