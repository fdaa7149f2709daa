/**
 * The stream that an answer becomes where there is no session to keep it.
 *
 * @module
 */
import { DirectConnection } from "../streams/direct.ts";
import type { ReplyStream } from "./answer.ts";
import { callAt } from "./call_at.ts";
import type { Endpoint } from "./endpoint.ts";
import { sseAnswer, sseResponse } from "./responses.ts";

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
 * Begins a stream that lives as long as its one connection.
 *
 * @returns `undefined` when too many connections are open
 */
export function openDirectStream(
  endpoint: Endpoint,
  init: DirectStreamInit,
): ReplyStream | undefined {
  return endpoint.streams.take(init.owner) ? new DirectReply(endpoint, init) : undefined;
}

class DirectReply implements ReplyStream {
  readonly #endpoint: Endpoint;
  readonly #init: DirectStreamInit;
  /** What was said before there was a connection. */
  #said: string[] = [];
  #ended = false;
  #connection: DirectConnection | undefined;

  constructor(endpoint: Endpoint, init: DirectStreamInit) {
    this.#endpoint = endpoint;
    this.#init = init;
  }

  respond(): Response {
    const said = this.#said;
    this.#said = [];
    if (this.#ended) {
      this.#endpoint.streams.give(this.#init.owner);
      return sseAnswer(...said);
    }
    const connection = this.#connect();
    for (const text of said) connection.send(text);
    return sseResponse(connection.body);
  }

  send(text: string): void {
    if (this.#connection === undefined) this.#said.push(text);
    else this.#connection.send(text);
  }

  answer(text: string): void {
    this.send(text);
  }

  end(): void {
    this.#ended = true;
    this.#connection?.close("ended");
  }

  /** There is nothing to come back for, so the connection stays. */
  release(): void {}

  #connect(): DirectConnection {
    const { settings, lines, streams } = this.#endpoint;
    const { owner, expiresAt, gone } = this.#init;
    const connection = this.#connection = new DirectConnection({
      bufferBytes: settings.storeSettings.log.eventBytes,
      keepAlive: lines.keepAlive,
      onClose(reason) {
        stopExpiry?.();
        streams.give(owner);
        if (reason !== "ended") gone?.();
      },
    });
    const stopExpiry = callAt(settings.clock, expiresAt, () => connection.close("unauthorized"));
    return connection;
  }
}
