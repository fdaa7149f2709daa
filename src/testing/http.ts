/**
 * The HTTP requests of a client of the 2025 era (2025-11-25, Transports).
 *
 * @module
 */
import { isObject } from "../protocol/jsonrpc.ts";
import { RefusedError } from "./errors.ts";
import { within } from "./wait.ts";
import type { WireOptions } from "./wire.ts";

/** Sends requests to the handler, with the headers that its session calls for. */
export class Http {
  readonly #options: WireOptions;
  /** The session's id, once the server has given one. */
  sessionId: string | undefined;
  /** The version agreed on, once it is. */
  protocolVersion: string | undefined;

  constructor(options: WireOptions) {
    this.#options = options;
  }

  /**
   * Posts a message.
   *
   * @throws {RefusedError} If the server turns it away
   */
  async post(message: object, signal: AbortSignal): Promise<Response> {
    return await this.#send(
      "POST",
      {
        "content-type": "application/json",
        "accept": this.#options.accept,
      },
      signal,
      JSON.stringify(message),
    );
  }

  /**
   * Opens the server-to-client stream, or goes on with the stream that an event was of.
   *
   * @throws {RefusedError} If the server turns it away
   */
  async get(lastEventId: string | undefined, signal: AbortSignal): Promise<Response> {
    return await this.#send("GET", {
      "accept": "text/event-stream",
      ...lastEventId !== undefined && { "last-event-id": lastEventId },
    }, signal);
  }

  /**
   * Ends the session.
   *
   * @throws {RefusedError} If the server turns it away
   */
  async delete(signal: AbortSignal): Promise<void> {
    discard(await this.#send("DELETE", {}, signal));
  }

  async #send(
    method: string,
    own: Readonly<Record<string, string>>,
    signal: AbortSignal,
    body?: string,
  ): Promise<Response> {
    const { handler, url, timeoutMs } = this.#options;
    const headers = new Headers({ ...this.#options.headers, ...own });
    if (this.sessionId !== undefined) headers.set("mcp-session-id", this.sessionId);
    if (this.protocolVersion !== undefined) {
      headers.set("mcp-protocol-version", this.protocolVersion);
    }
    const request = new Request(url, { method, headers, body });
    const sent = (async () => await handler(request))();
    let response: Response;
    try {
      response = await within(sent, timeoutMs, `response to ${method}`, signal);
    } catch (error) {
      sent.then(discard, () => {});
      throw error;
    }
    if (response.status < 400) return response;
    throw new RefusedError(response, await readJson(response, timeoutMs, signal));
  }
}

/** Whether a response is a stream of events. */
export function isStream(response: Response): boolean {
  return response.headers.get("content-type")?.startsWith("text/event-stream") ?? false;
}

/** The JSON object in a response's body, or `undefined` when it holds none. */
export async function readJson(
  response: Response,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<object | undefined> {
  const text = await within(response.text(), timeoutMs, "end of the body", signal);
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Lets go of a response that nobody reads. */
export function discard(response: Response): void {
  response.body?.cancel().catch(() => {});
}
