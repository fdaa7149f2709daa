/**
 * The answer to one POST: JSON or a stream, decided once.
 *
 * @module
 */
import type { Inbound } from "../http/inbound.ts";
import { SESSION_NOT_FOUND, SHUTTING_DOWN, shuttingDown } from "../http/refusals.ts";
import { accepted, jsonReply, type Reply } from "../http/reply.ts";
import type { Delay } from "../internal/delay_line.ts";
import type { Deferred } from "../internal/end_of_turn.ts";
import type { MaybePromise } from "../internal/types.ts";
import { ErrorCode, errorObject, errorText } from "../protocol/errors.ts";
import type { RequestId } from "../protocol/jsonrpc.ts";
import { isModern } from "../protocol/versions.ts";
import type { OpenReplyStream, ReplyStream } from "../streams/reply_stream.ts";
import { sseReplyOf } from "../streams/sse.ts";
import type { Calls } from "./calls.ts";
import type { StopError } from "./stop.ts";

/** Characters that may be sent on a stream before its reply goes out, although the turn isn't over. */
const MOST_PENDING = 65_536;

/**
 * Collects what is sent in answer to one POST. The first message that is no answer, or a wait that
 * lasts too long, makes it a stream; else it is JSON.
 */
export class Answer {
  readonly #calls: Calls;
  readonly #inbound: Inbound;
  readonly #open: OpenReplyStream | undefined;
  /** The requests that have no answer yet. */
  #left: number;
  /** The answers to a batch. */
  #texts: string[] | undefined;
  #stream: ReplyStream | undefined;
  #reply: Reply | undefined;
  #replying = false;
  #resolve: ((reply: Reply) => void) | undefined;
  #delay: Delay | undefined;
  #deferred: Deferred | undefined;
  /** Characters that were sent before the reply went out. */
  #pending = 0;

  /**
   * @param calls What all calls share
   * @param inbound The POST
   * @param open Opens a stream, if the client accepts one
   * @param batch How many requests are answered together, as an array; one by itself when left out
   */
  constructor(calls: Calls, inbound: Inbound, open?: OpenReplyStream, batch?: number) {
    this.#calls = calls;
    this.#inbound = inbound;
    this.#open = open;
    this.#left = batch ?? 1;
    if (batch !== undefined) this.#texts = [];
  }

  /** Whether anything but JSON can be sent. */
  get streams(): boolean {
    return this.#open !== undefined;
  }

  /** The reply, as soon as it is decided. */
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

  /** Sends a message before the answer. `false` when there is no stream for it. */
  send(text: string): boolean {
    const stream = this.#upgrade();
    if (stream === undefined) return false;
    stream.send(text);
    this.#pending += text.length;
    if (this.#pending > MOST_PENDING) this.#replyWithStream();
    return true;
  }

  /** Ends the connection, not the stream, so that the client resumes. */
  release(retryMs: number): void {
    const stream = this.#upgrade();
    this.#replyWithStream();
    stream?.release(retryMs);
  }

  /** Answers one request, once. The status is only used where nothing has been sent before. */
  deliver(text: string, status?: number): void {
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
    this.#decide(this.#inbound.accepts.json ? jsonReply(text, status) : this.#wholeStream(text));
  }

  /** Ends one request that was stopped: with an error where the client waits for one. */
  stopped(id: RequestId, reason: StopError): void {
    const text = stopText(id, reason);
    if (this.#stream === undefined && this.#texts === undefined) {
      this.#left--;
      this.#decide(this.#stopReply(id, reason, text));
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
    else this.#decide(this.#wholeStream(...texts));
  }

  /** The reply to a request that was stopped before anything was sent. */
  #stopReply(id: RequestId, { kind }: StopError, text: string | undefined): Reply {
    if (kind === "shutdown") return shuttingDown(id);
    if (kind === "session-ended") return jsonReply(errorText(id, SESSION_NOT_FOUND), 404);
    if (text === undefined) return accepted();
    return this.#inbound.accepts.json ? jsonReply(text) : this.#wholeStream(text);
  }

  /** A stream that holds nothing but answers, for a client that doesn't accept JSON. */
  #wholeStream(...texts: readonly string[]): Reply {
    const stream = this.#open?.();
    // A whole text takes no slot for long, and what a tool has done must be answered.
    if (stream === undefined) return sseReplyOf(...texts);
    for (const text of texts) stream.answer(text);
    stream.end();
    return stream.reply();
  }

  #upgrade(): ReplyStream | undefined {
    if (this.#stream !== undefined || this.#reply !== undefined) return this.#stream;
    const stream = this.#open?.();
    if (stream === undefined) return undefined;
    this.#stream = stream;
    for (const text of this.#texts?.splice(0) ?? []) stream.answer(text);
    // A stream that ends within this turn is sent as one text, at half the cost of a connection.
    this.#deferred = this.#calls.endOfTurn.defer(() => this.#replyWithStream());
    return stream;
  }

  #replyWithStream(): void {
    if (this.#reply !== undefined || this.#replying || this.#stream === undefined) return;
    // Making the reply may stop the call, which comes back here.
    this.#replying = true;
    this.#decide(this.#stream.reply());
  }

  #decide(reply: Reply): void {
    this.#delay?.cancel();
    this.#deferred?.cancel();
    this.#delay = this.#deferred = undefined;
    this.#reply = reply;
    this.#resolve?.(reply);
  }
}

/** The error for a request that was stopped; none when the client doesn't wait for one. */
function stopText(id: RequestId, { kind }: StopError): string | undefined {
  if (kind === "timeout") {
    return errorText(id, errorObject(ErrorCode.NotAvailable, "Request timed out"));
  }
  if (kind !== "shutdown") return undefined;
  return errorText(id, errorObject(ErrorCode.Refused, SHUTTING_DOWN));
}
