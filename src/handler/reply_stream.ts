/**
 * The stream that the answer to a POST of a session becomes: a stream of the session's event log, and
 * what the client gets of it.
 *
 * @module
 */
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

/** What was said before the response went out. */
interface Said {
  readonly data: string;
  /** Whether it answers a request. */
  readonly answer: boolean;
}

/** A stream in the log. What it says is in there before anybody connects. */
class LoggedReply implements ReplyStream {
  readonly #endpoint: Endpoint;
  readonly #init: ReplyStreamInit;
  readonly #stream: string;
  /** Everything that was said before the response went out, where the log can take it at once then. */
  #said: Said[] | undefined;
  /** What the log didn't take although nobody was connected yet. */
  #lost: string | undefined;
  #ended = false;
  #answering: Promise<unknown> | undefined;

  constructor(endpoint: Endpoint, init: ReplyStreamInit) {
    this.#endpoint = endpoint;
    this.#init = init;
    this.#stream = init.session.nameStream();
    if (endpoint.backplane.log.addWhole !== undefined) this.#said = [];
  }

  respond(): Response {
    const said = this.#said ?? [];
    if (this.#ended && said.length > 0) return this.#whole(said);
    this.#said = undefined;
    for (const { data, answer } of said) this.#say(data, answer);
    if (this.#ended) this.end();
    const init = { ...this.#init, stream: this.#stream, after: 0, kind: "request" } as const;
    const { response } = connectIn(this.#endpoint, init);
    if (this.#lost !== undefined) this.#connection?.close("failed", { last: this.#lost });
    return response;
  }

  send(text: string): void {
    this.#say(text, false);
  }

  answer(text: string): void {
    this.#say(text, true);
  }

  end({ retryMs }: { readonly retryMs?: number } = {}): void {
    this.#ended = true;
    if (this.#said !== undefined) return;
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

  #say(data: string, answer: boolean): void {
    if (this.#said !== undefined) {
      this.#said.push({ data, answer });
      return;
    }
    const { log } = this.#endpoint.backplane;
    const appended = this.#endpoint.background(
      "appending to a stream",
      () => log.append(this.#init.session.id, this.#stream, data),
      answer ? () => this.#lose(data) : undefined,
    );
    if (answer) this.#answering = appended;
  }

  /** What has been done is not lost on a client that is here. */
  #lose(answer: string): void {
    this.#lost = answer;
    this.#connection?.close("failed", { last: answer });
  }

  #end(): void {
    const { log } = this.#endpoint.backplane;
    this.#endpoint.background(
      "ending a stream",
      () => log.end(this.#init.session.id, this.#stream),
      () => this.#connection?.close("failed"),
    );
  }

  /**
   * The response of a stream that is over before it begins: as a text, which costs half of a
   * connection. What the log can't take is told all the same.
   */
  #whole(said: readonly Said[]): Response {
    const { session, owner, version } = this.#init;
    const { backplane: { log }, settings: { streams: { retryMs } }, streams, watched } =
      this.#endpoint;
    const stream = this.#stream;
    let frames = "";
    let n = 0;
    for (const { data } of said) frames += frame(eventId(stream, ++n), data);
    this.#endpoint.background(
      "appending to a stream",
      () => log.addWhole?.(session.id, stream, frames, n),
    );
    streams.give(owner);
    if (watched) this.#reportWhole(sessionName(session.id));
    if (!VERSIONS[version].priming) return sseResponse(frames);
    return sseResponse(primingFrame(eventId(stream, 0), retryMs) + frames);
  }

  #reportWhole(session: string): void {
    const { report } = this.#endpoint;
    report({ type: "stream-opened", session, stream: "request" });
    report({ type: "stream-closed", session, stream: "request", reason: "ended" });
  }
}
