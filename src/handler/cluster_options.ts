/**
 * The options of a handler that is one node of many.
 *
 * @module
 */

/** How a handler and the others that share its store find and believe each other. */
export interface ClusterOptions {
  /**
   * The URL under which the other nodes reach this handler itself, such as
   * `"http://10.0.0.7:8080/mcp"`: a request for a session whose live state this node holds is then
   * handed to it over HTTP. Over the store's own messages when left out.
   */
  readonly url?: string;
  /**
   * Sends the requests to other nodes' URLs: the runtime's own `fetch` when left out. Takes a client
   * certificate, where nodes want one of each other.
   */
  readonly fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /**
   * Secrets of 32 bytes or more that nodes know each other by: the first signs, all are believed. To
   * change one, give all nodes the new one as the last first, and then as the first. Made from
   * `requests.stateKeys` when left out.
   */
  readonly keys?: readonly (string | Uint8Array)[];
}
