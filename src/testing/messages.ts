/**
 * The messages on a stream of events, and where to go on when it breaks.
 *
 * @module
 */
import { type Classified, type JsonObject, messageKind } from "../protocol/jsonrpc.ts";
import { parseEvents } from "../streams/sse_parser.ts";

/** How far a stream was read, over all connections. */
export interface Cursor {
  /** The id of the last event, if events have ids. */
  lastEventId: string | undefined;
  /** How long the server would have the client wait before it comes back, in milliseconds. */
  retryMs: number;
}

/**
 * Reads one connection's messages, and moves the cursor along.
 *
 * @param signal Ends the reading
 * @throws {TypeError} If an event is no JSON-RPC message
 */
export async function* readMessages(
  body: ReadableStream<Uint8Array>,
  cursor: Cursor,
  signal: AbortSignal,
): AsyncGenerator<Classified> {
  // The pipe lets go of the body as soon as the signal aborts, also while nothing arrives.
  const source = body.pipeThrough(new TransformStream<Uint8Array, Uint8Array>(), { signal });
  const onRetry = (ms: number) => cursor.retryMs = ms;
  for await (const { id, event, data } of parseEvents(source, { onRetry })) {
    if (id !== undefined) cursor.lastEventId = id === "" ? undefined : id;
    if (data === "" || (event !== undefined && event !== "message")) continue;
    yield classify(data);
  }
}

function classify(data: string): Classified {
  const message: unknown = JSON.parse(data);
  const kind = messageKind(message);
  if (kind === undefined) throw new TypeError(`The server sent no JSON-RPC message: ${data}`);
  // `messageKind` looked at everything that the message's type promises.
  return { kind, message } as Classified;
}

/** The message of a JSON body. */
export function readMessage(value: object | undefined): Classified {
  return classify(JSON.stringify(value ?? null));
}

/** A request's params with the token that asks for its progress. */
export function withProgressToken(params: JsonObject, token: number): JsonObject {
  const meta = typeof params._meta === "object" ? params._meta : {};
  return { ...params, _meta: { ...meta, progressToken: token } };
}
