/**
 * The stream that the answer to a POST of a session becomes: a stream of the session's event log, and
 * what the client gets of it.
 *
 * @module
 */
import { randomText } from "../internal/random.ts";
import { isPromise } from "../internal/types.ts";
import { type ProtocolVersion, VERSIONS } from "../protocol/versions.ts";
import { eventId } from "../streams/replay.ts";
import { frame, primingFrame } from "../streams/sse.ts";
import type { ReplyStream } from "./answer.ts";
import { connectIn } from "./connect.ts";
import { type Endpoint, sessionName } from "./endpoint.ts";
import type { LiveSession } from "./live_session.ts";
import { sseResponse } from "./responses.ts";

/** Whose stream it is and how it is spoken. */
export interface ReplyStreamInit {
  readonly session: LiveSession;
  /** The owner's key, for counting connections. */
  readonly owner: string;
  /** When the owner's credentials end, in milliseconds since the epoch. */
  readonly expiresAt: number | undefined;
  readonly version: ProtocolVersion;
}

/**
 * Begins a stream in the session's event log.
 *
 * @returns `undefined` when too many connections are open
 */
export function openReplyStream(
  endpoint: Endpoint,
  init: ReplyStreamInit,
): ReplyStream | undefined {
  return endpoint.streams.take(init.owner) ? new LoggedReply(endpoint, init) : undefined;
}

/** A stream in the log. What it says is in there before anybody connects. */
class LoggedReply implements ReplyStream {
  readonly #endpoint: Endpoint;
  readonly #init: ReplyStreamInit;
  readonly #stream = randomText(8);
  /** Everything that was said, until somebody connects; `undefined` when it can't be told by then. */
  #said: string | undefined = "";
  #last = 0;
  /** What the log didn't take although nobody was connected yet. */
  #lost: string | undefined;
  #ended = false;
  #answering: Promise<unknown> | undefined;

  constructor(endpoint: Endpoint, init: ReplyStreamInit) {
    this.#endpoint = endpoint;
    this.#init = init;
  }

  respond(): Response {
    if (this.#ended && this.#said !== undefined) return this.#whole(this.#said);
    this.#said = undefined;
    const init = { ...this.#init, stream: this.#stream, after: 0, kind: "request" } as const;
    const { response } = connectIn(this.#endpoint, init);
    if (this.#lost !== undefined) this.#connection?.close("failed", { last: this.#lost });
    return response;
  }

  send(text: string): void {
    this.#append(text);
  }

  answer(text: string): void {
    // What has been done is not lost on a client that is here.
    this.#answering = this.#append(text, () => {
      this.#lost = text;
      this.#connection?.close("failed", { last: text });
    });
  }

  end({ retryMs }: { readonly retryMs?: number } = {}): void {
    if (retryMs !== undefined) this.#connection?.close("shutdown", { retryMs });
    if (this.#answering === undefined) this.#end();
    else this.#answering.then(() => this.#end());
  }

  release(retryMs: number): void {
    // The client may have come back since: it is the present connection that ends.
    const present = this.#connection;
    // Without any event id it would have nothing to come back with.
    const resumable = VERSIONS[this.#init.version].priming || (present?.cursor ?? 0) > 0;
    if (resumable) present?.close("released", { retryMs });
  }

  get #connection() {
    return this.#init.session.connections.get(this.#stream);
  }

  #append(text: string, failed?: () => void): Promise<unknown> | undefined {
    const { log } = this.#endpoint.backplane;
    return this.#endpoint.background("appending to a stream", () => {
      const n = log.append(this.#init.session.id, this.#stream, text);
      if (isPromise(n)) this.#said = undefined;
      else if (n > 0) this.#keep(n, text);
      return n;
    }, () => {
      this.#said = undefined;
      failed?.();
    });
  }

  #keep(n: number, text: string): void {
    if (this.#said === undefined) return;
    this.#said += frame(eventId(this.#stream, n), text);
    this.#last = n;
  }

  #end(): void {
    const { log } = this.#endpoint.backplane;
    this.#ended = true;
    this.#endpoint.background(
      "ending a stream",
      () => log.end(this.#init.session.id, this.#stream),
      () => {
        this.#said = undefined;
        this.#connection?.close("failed");
      },
    );
  }

  /** A stream that is over before its response begins needs no connection: text costs half of it. */
  #whole(said: string): Response {
    const endpoint = this.#endpoint;
    const { session: { id }, owner, version } = this.#init;
    endpoint.streams.give(owner);
    endpoint.background(
      "noting what was delivered",
      () => endpoint.backplane.log.deliver(id, this.#stream, this.#last),
    );
    if (endpoint.watched) {
      const session = sessionName(id);
      endpoint.report({ type: "stream-opened", session, stream: "request" });
      endpoint.report({ type: "stream-closed", session, stream: "request", reason: "ended" });
    }
    const { retryMs } = endpoint.settings.streams;
    const prime = VERSIONS[version].priming ? primingFrame(eventId(this.#stream, 0), retryMs) : "";
    return sseResponse(prime + said);
  }
}
