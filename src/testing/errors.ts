/**
 * Errors of the in-process client.
 *
 * @module
 */
import { ErrorCode, McpError } from "../protocol/errors.ts";
import { isObject } from "../protocol/jsonrpc.ts";

/**
 * Reports an HTTP response with a status of 400 or more. Code, message and data are those of the
 * JSON-RPC error in the body, if there is one.
 */
export class RefusedError extends McpError {
  /** HTTP status. */
  readonly status: number;
  /** Headers of the response. */
  readonly headers: Headers;

  /**
   * Describes a refusal.
   *
   * @param response The refusal
   * @param body Its parsed body, or `undefined` if that is not JSON
   */
  constructor(response: Response, body: unknown) {
    const error = isObject(body) && isObject(body.error) ? body.error : {};
    const { code, message, data } = error;
    super(
      Number.isInteger(code) ? Number(code) : ErrorCode.Refused,
      typeof message === "string" ? message : `HTTP status ${response.status}`,
      data,
    );
    this.name = "RefusedError";
    this.status = response.status;
    this.headers = response.headers;
  }
}
