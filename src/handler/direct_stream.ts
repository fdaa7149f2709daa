/**
 * The stream that an answer becomes where there is no session to keep it.
 *
 * @module
 */
import { DirectConnection } from "../streams/direct.ts";
import { SSE_HEADERS } from "../streams/sse.ts";
import type { ReplyStream } from "./answer.ts";
import { callAt } from "./call_at.ts";
import type { Endpoint } from "./endpoint.ts";

/** What a stream without a session needs. */
export interface DirectStreamInit {
  /** The owner's key, for counting connections. */
  readonly owner: string;
  /** When the owner's credentials end, in milliseconds since the epoch. */
  readonly expiresAt: number | undefined;
  /** Called when the client can't get the rest: it went away, reads too slowly or may no longer. */
  readonly gone?: () => void;
}

/**
 * Opens a stream that lives as long as its one connection.
 *
 * @returns `undefined` when too many connections are open
 */
export function openDirectStream(
  endpoint: Endpoint,
  { owner, expiresAt, gone }: DirectStreamInit,
): ReplyStream | undefined {
  if (!endpoint.streams.take(owner)) return undefined;
  const connection = new DirectConnection({
    bufferBytes: endpoint.settings.storeSettings.log.eventBytes,
    keepAlive: endpoint.lines.keepAlive,
    onClose(reason) {
      stopExpiry?.();
      endpoint.streams.give(owner);
      if (reason !== "ended") gone?.();
    },
  });
  const stopExpiry = callAt(endpoint.settings.clock, expiresAt, () => {
    connection.close("unauthorized");
  });
  return {
    response: new Response(connection.body, { headers: SSE_HEADERS }),
    send: (text) => void connection.send(text),
    answer: (text) => void connection.send(text),
    end: () => connection.close("ended"),
    // There is nothing to come back for, so the connection stays.
    release: () => {},
  };
}
