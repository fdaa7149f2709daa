/**
 * The answer to one POST: JSON or a stream, decided once.
 *
 * @module
 */
import type { Delay } from "../internal/delay_line.ts";
import type { TurnWait } from "../internal/turn.ts";
import type { MaybePromise } from "../internal/types.ts";
import { ErrorCode, errorObject, errorText } from "../protocol/errors.ts";
import { isModern } from "../protocol/versions.ts";
import type { StopError } from "../calls/stop.ts";
import type { Call, CallInit } from "./call.ts";
import {
  accepted,
  jsonAnswer,
  SESSION_NOT_FOUND,
  SHUTTING_DOWN,
  shuttingDown,
  sseAnswer,
} from "./responses.ts";

/** The stream that an answer becomes. */
export interface ReplyStream {
  /**
   * What the client gets: everything at once where the stream has ended, else a connection to it.
   * Called once.
   */
  respond(): Response;
  /** Sends a message. */
  send(text: string): void;
  /** Sends the answer to a request: to the client that is here, even where it can't be kept. */
  answer(text: string): void;
  /** Ends the stream after what was sent; with `retryMs` the client is told when to come back. */
  end(options?: { readonly retryMs?: number }): void;
  /** Ends the connection, not the stream. */
  release(retryMs: number): void;
}

/** Opens the stream that an answer becomes, if there is a place for it. */
export type OpenStream = (init: CallInit) => ReplyStream | undefined;

/** How many characters may be said before the response goes out although the turn is not over. */
const MOST_UNREAD = 65_536;

/**
 * Collects what is said in answer to one POST. The first message that is not an answer, or a wait
 * that lasts too long, makes it a stream; else it is JSON.
 */
export class Answer {
  readonly #init: CallInit;
  readonly #open: OpenStream | undefined;
  #left: number;
  #texts: string[] | undefined;
  #stream: ReplyStream | undefined;
  #response: Response | undefined;
  #responding = false;
  #decide: ((response: Response) => void) | undefined;
  #delay: Delay | undefined;
  #turn: TurnWait | undefined;
  /** Characters that were said before the response went out. */
  #unread = 0;

  /**
   * @param init What the requests have in common that are answered
   * @param open Opens a stream, if the client takes one
   * @param batch How many requests are answered together, as an array; one by itself when left out
   */
  constructor(init: CallInit, open?: OpenStream, batch?: number) {
    this.#init = init;
    this.#open = open;
    this.#left = batch ?? 1;
    if (batch !== undefined) this.#texts = [];
  }

  /** Whether anything but JSON can be sent. */
  get streams(): boolean {
    return this.#open !== undefined;
  }

  /** The response, as soon as it is decided. */
  response(): MaybePromise<Response> {
    if (this.#response !== undefined) return this.#response;
    const { promise, resolve } = Promise.withResolvers<Response>();
    this.#decide = resolve;
    if (this.#open !== undefined) {
      const { endpoint: { lines }, version } = this.#init;
      this.#delay = (isModern(version) ? lines.gone : lines.sseAfter).add(() => {
        this.#upgrade();
        this.#respond();
      });
    }
    return promise;
  }

  /** Sends a message before the answer. `false` when there is no stream for it. */
  send(text: string): boolean {
    const stream = this.#upgrade();
    if (stream === undefined) return false;
    stream.send(text);
    this.#unread += text.length;
    if (this.#unread > MOST_UNREAD) this.#respond();
    return true;
  }

  /** Ends the connection, not the stream, so that the client comes back for the rest. */
  release(retryMs: number): void {
    const stream = this.#upgrade();
    this.#respond();
    stream?.release(retryMs);
  }

  /** Answers one request, once. The status only counts where nothing has been sent before. */
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
    this.#decided(this.#init.json ? jsonAnswer(text, status) : this.#whole(text));
  }

  /** Ends one request that was stopped: as an error where the client waits for one, else without. */
  stopped(call: Call, reason: StopError): void {
    const text = stopText(call, reason);
    if (this.#stream === undefined && this.#texts === undefined) {
      this.#left--;
      this.#decided(this.#stopResponse(call, reason, text));
      return;
    }
    if (text !== undefined) {
      if (this.#stream !== undefined) this.#stream.answer(text);
      else this.#texts?.push(text);
    }
    this.#done(reason.kind === "shutdown" ? this.#retryMs : undefined);
  }

  get #retryMs(): number {
    return this.#init.endpoint.settings.streams.retryMs;
  }

  #done(retryMs?: number): void {
    this.#left--;
    if (this.#left > 0) return;
    if (this.#stream !== undefined) {
      if (retryMs !== undefined) this.#respond();
      this.#stream.end({ retryMs });
      return this.#respond();
    }
    const texts = this.#texts ?? [];
    if (texts.length === 0) this.#decided(accepted());
    else if (this.#init.json) this.#decided(jsonAnswer(`[${texts.join(",")}]`));
    else this.#decided(this.#whole(...texts));
  }

  /** The response to a request that was stopped before anything of it was sent. */
  #stopResponse(call: Call, { kind }: StopError, text: string | undefined): Response {
    if (kind === "shutdown") return shuttingDown(this.#init.endpoint, call.id);
    if (kind === "session-ended") return jsonAnswer(errorText(call.id, SESSION_NOT_FOUND), 404);
    if (text === undefined) return accepted();
    return this.#init.json ? jsonAnswer(text) : this.#whole(text);
  }

  /** A stream that holds nothing but answers, for a client that takes no JSON. */
  #whole(...texts: readonly string[]): Response {
    const stream = this.#open?.(this.#init);
    // What has been done must be told, and what is whole needs no place among the open streams.
    if (stream === undefined) return sseAnswer(...texts);
    for (const text of texts) stream.answer(text);
    stream.end();
    return stream.respond();
  }

  #upgrade(): ReplyStream | undefined {
    if (this.#stream !== undefined || this.#response !== undefined) return this.#stream;
    const stream = this.#open?.(this.#init);
    if (stream === undefined) return undefined;
    this.#stream = stream;
    for (const text of this.#texts?.splice(0) ?? []) stream.answer(text);
    // What is over by the end of the turn is answered whole, which costs half of a connection.
    this.#turn = this.#init.endpoint.turn.end(() => this.#respond());
    return stream;
  }

  /** The stream's response goes out, if it hasn't. */
  #respond(): void {
    if (this.#response !== undefined || this.#responding || this.#stream === undefined) return;
    // A client that takes nothing may stop the call in the middle of this.
    this.#responding = true;
    this.#decided(this.#stream.respond());
  }

  #decided(response: Response): void {
    this.#delay?.cancel();
    this.#turn?.cancel();
    this.#delay = this.#turn = undefined;
    this.#response = response;
    this.#decide?.(response);
  }
}

/** What a stopped request is answered with; nothing when the client wants no answer any more. */
function stopText(call: Call, { kind }: StopError): string | undefined {
  if (kind === "timeout") {
    return errorText(call.id, errorObject(ErrorCode.NotAvailable, "Request timed out"));
  }
  if (kind !== "shutdown") return undefined;
  return errorText(call.id, errorObject(ErrorCode.Refused, SHUTTING_DOWN));
}
