/**
 * Names what a request is about, in words that a server has registered: safe for metrics and logs,
 * whatever a client sends.
 *
 * @module
 */

/**
 * The tool, prompt or resource that a request is about. A name that the server doesn't know is left out,
 * so there are never more different names than the server has.
 */
export interface RequestTarget {
  /** The name of the tool. */
  readonly tool?: string;
  /** The name of the prompt. */
  readonly prompt?: string;
  /** The URI of the resource as it is registered, or its template: never the URI that the client sent. */
  readonly resource?: string;
  /** The name of the gateway's upstream that the request goes to. */
  readonly upstream?: string;
}
