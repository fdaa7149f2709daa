/**
 * What the in-process client throws.
 *
 * @module
 */
import { ErrorCode, McpError } from "../protocol/errors.ts";
import { isObject } from "../protocol/jsonrpc.ts";

/**
 * The server turned an HTTP request away, before or instead of answering what it carries. Code,
 * message and data are those of the JSON-RPC error in its body.
 */
export class RefusedError extends McpError {
  /** The HTTP status. */
  readonly status: number;
  /** The response's headers. */
  readonly headers: Headers;

  /**
   * Made by the client.
   *
   * @param response The refusal; its body has been read
   * @param body The parsed body, or `undefined` when it was no JSON
   */
  constructor(response: Response, body: unknown) {
    const error = isObject(body) && isObject(body.error) ? body.error : {};
    const { code, message, data } = error;
    super(
      typeof code === "number" ? code : ErrorCode.Refused,
      typeof message === "string" ? message : `HTTP status ${response.status}`,
      data,
    );
    this.name = "RefusedError";
    this.status = response.status;
    this.headers = response.headers;
  }
}
