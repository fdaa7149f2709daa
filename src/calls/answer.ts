/**
 * Decides once whether the response to a POST is JSON or a stream.
 *
 * The next step of a call is in `http/respond.ts`.
 *
 * @module
 */
import type { Inbound } from "../http/inbound.ts";
import { SESSION_NOT_FOUND, SHUTTING_DOWN, shuttingDown } from "../http/refusals.ts";
import { accepted, jsonReply, type Refusal, type Reply } from "../http/reply.ts";
import type { Delay } from "../internal/delay_line.ts";
import type { Deferred } from "../internal/end_of_turn.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";
import { ErrorCode, errorObject, errorText, modernCode } from "../protocol/errors.ts";
import type { RequestId } from "../protocol/jsonrpc.ts";
import { isModern } from "../protocol/versions.ts";
import type { OpenReplyStream, ReplyStream } from "../streams/reply_stream.ts";
import { sseReplyOf } from "../streams/sse.ts";
import type { Calls } from "./calls.ts";
import type { StopError } from "./lifetime/stop.ts";

/** Characters sent on a stream after which its reply is returned before the end of the turn. */
const MOST_PENDING = 65_536;

/**
 * The answer to one POST. It is JSON, unless a notification or a request to the client is sent before the
 * response, or the response takes too long: then it is a stream.
 */
export class Answer {
  readonly #calls: Calls;
  readonly #inbound: Inbound;
  readonly #open: OpenReplyStream | undefined;
  /** The number of requests without a response. */
  #left: number;
  /** The responses of a batch. */
  #texts: string[] | undefined;
  #stream: ReplyStream | undefined;
  #reply: Reply | undefined;
  #replying = false;
  #resolve: ((reply: Reply) => void) | undefined;
  #delay: Delay | undefined;
  #deferred: Deferred | undefined;
  /** The number of characters sent before the reply. */
  #pending = 0;

  /**
   * Creates an answer to which nothing has been sent.
   *
   * @param calls The owner of the calls
   * @param inbound The POST
   * @param open Opens a stream, if the client accepts one
   * @param batch The number of requests in a batch, whose responses are an array; no batch when left out
   */
  constructor(calls: Calls, inbound: Inbound, open?: OpenReplyStream, batch?: number) {
    this.#calls = calls;
    this.#inbound = inbound;
    this.#open = open;
    this.#left = batch ?? 1;
    if (batch !== undefined) this.#texts = [];
  }

  /** Whether the answer can be a stream. */
  get streams(): boolean {
    return this.#open !== undefined;
  }

  /** Returns the reply when it is decided. */
  reply(): MaybePromise<Reply> {
    if (this.#reply !== undefined) return this.#reply;
    const { promise, resolve } = Promise.withResolvers<Reply>();
    this.#resolve = resolve;
    if (this.#open !== undefined) {
      const { delays } = this.#calls;
      const line = isModern(this.#inbound.version) ? delays.disconnect : delays.sseAfter;
      this.#delay = line.add(() => {
        this.#upgrade();
        this.#replyWithStream();
      });
    }
    return promise;
  }

  /** Sends a message before the response. Returns `false` if there is no stream for it. */
  send(text: string): boolean {
    const stream = this.#upgrade();
    if (stream === undefined) return false;
    stream.send(text);
    this.#pending += text.length;
    if (this.#pending > MOST_PENDING) this.#replyWithStream();
    return true;
  }

  /** Closes the connection, not the stream, so that the client resumes. */
  release(retryMs: number): void {
    const stream = this.#upgrade();
    this.#replyWithStream();
    stream?.release(retryMs);
  }

  /**
   * Sends the response to one request, once. The status is only used if the answer is JSON, and a
   * refusal replaces the answer if it is neither a stream nor a batch.
   */
  deliver(text: string, status?: number, refusal?: Refusal): void {
    if (this.#stream !== undefined) {
      this.#stream.answer(text);
      this.#done();
      return;
    }
    if (this.#texts !== undefined) {
      this.#texts.push(text);
      this.#done();
      return;
    }
    this.#left--;
    if (refusal !== undefined) return this.#decide(refusal);
    this.#decideLater(
      this.#inbound.accepts.json ? jsonReply(text, status) : this.#wholeStream(text),
    );
  }

  /** Ends one request that was stopped, with an error if the client expects a response. */
  stopped(id: RequestId, reason: StopError): void {
    const text = stopText(id, reason, isModern(this.#inbound.version));
    if (this.#stream === undefined && this.#texts === undefined) {
      this.#left--;
      this.#decideLater(this.#stopReply(id, reason, text));
      return;
    }
    if (text !== undefined) {
      if (this.#stream !== undefined) this.#stream.answer(text);
      else this.#texts?.push(text);
    }
    this.#done(reason.kind === "shutdown" ? this.#calls.settings.retryMs : undefined);
  }

  #done(retryMs?: number): void {
    this.#left--;
    if (this.#left > 0) return;
    if (this.#stream !== undefined) {
      if (retryMs !== undefined) this.#replyWithStream();
      this.#stream.end({ retryMs });
      return this.#replyWithStream();
    }
    const texts = this.#texts ?? [];
    if (texts.length === 0) this.#decide(accepted());
    else if (this.#inbound.accepts.json) this.#decide(jsonReply(`[${texts.join(",")}]`));
    else this.#decideLater(this.#wholeStream(...texts));
  }

  /** Creates the reply for a request that was stopped before anything was sent. */
  #stopReply(id: RequestId, { kind }: StopError, text: string | undefined): MaybePromise<Reply> {
    if (kind === "shutdown") return shuttingDown(id);
    if (kind === "session-ended") return jsonReply(errorText(id, SESSION_NOT_FOUND), 404);
    if (text === undefined) return accepted();
    return this.#inbound.accepts.json ? jsonReply(text) : this.#wholeStream(text);
  }

  /** Creates a reply with responses as a stream, for a client that doesn't accept JSON. */
  #wholeStream(...texts: readonly string[]): MaybePromise<Reply> {
    const stream = this.#open?.();
    // A complete text needs no connection, and the result of a tool that has run must be sent.
    if (stream === undefined) return sseReplyOf(...texts);
    for (const text of texts) stream.answer(text);
    stream.end();
    return stream.reply();
  }

  #upgrade(): ReplyStream | undefined {
    if (this.#stream !== undefined || this.#reply !== undefined || this.#replying) {
      return this.#stream;
    }
    const stream = this.#open?.();
    if (stream === undefined) return undefined;
    this.#stream = stream;
    for (const text of this.#texts?.splice(0) ?? []) stream.answer(text);
    // A stream that ends within this turn is sent as one text, which is cheaper than a connection.
    this.#deferred = this.#calls.endOfTurn.defer(() => this.#replyWithStream());
    return stream;
  }

  #replyWithStream(): void {
    if (this.#reply !== undefined || this.#replying || this.#stream === undefined) return;
    // Creating the reply may stop the call, which calls this again.
    this.#replying = true;
    this.#decideLater(this.#stream.reply());
  }

  /** Decides on a reply, when it is there: never rejects. */
  #decideLater(reply: MaybePromise<Reply>): void {
    if (!isPromise(reply)) return this.#decide(reply);
    this.#replying = true;
    void reply.then((stored) => this.#decide(stored));
  }

  #decide(reply: Reply): void {
    this.#delay?.cancel();
    this.#deferred?.cancel();
    this.#delay = this.#deferred = undefined;
    this.#reply = reply;
    this.#resolve?.(reply);
  }
}

/** Returns the error for a stopped request, or `undefined` if the client expects no response. */
function stopText(id: RequestId, { kind }: StopError, modern: boolean): string | undefined {
  const text = (code: number, message: string) =>
    errorText(id, errorObject(modern ? modernCode(code) : code, message));
  if (kind === "timeout") return text(ErrorCode.NotAvailable, "Request timed out");
  if (kind === "operator-cancelled") {
    return text(ErrorCode.NotAvailable, "An operator cancelled the request");
  }
  return kind === "shutdown" ? text(ErrorCode.Refused, SHUTTING_DOWN) : undefined;
}
