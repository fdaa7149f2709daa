/**
 * Sends messages over one HTTP connection without an event log.
 *
 * @module
 */
import type { Delay, DelayLine } from "../internal/delay_line.ts";
import type { StreamCloseReason } from "../protocol/events.ts";
import { frame, KEEP_ALIVE } from "./sse.ts";

/** Options for a {@linkcode DirectConnection}. */
export interface DirectConnectionOptions {
  /** Bytes of the response's buffer, which one message may exceed. */
  readonly bufferBytes: number;
  /** The delay line of keep-alive comments, shared by all connections. */
  readonly keepAlive: DelayLine;
  /** Called exactly once when the connection has closed. */
  readonly onClose: (reason: StreamCloseReason) => void;
}

const encoder = new TextEncoder();

/** A stream of messages to one client, without event ids: it can't be resumed. */
export class DirectConnection {
  /** The body of the response. */
  readonly body: ReadableStream<Uint8Array>;
  readonly #options: DirectConnectionOptions;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #delay: Delay | undefined;
  #closed = false;
  #sent = 0;

  constructor(options: DirectConnectionOptions) {
    this.#options = options;
    this.body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: () => this.#finish("disconnected"),
    }, { highWaterMark: options.bufferBytes, size: (chunk) => chunk.byteLength });
    this.#keepAlive();
  }

  /** Sends a message. Returns `false` if the connection is closed, or closes as the client is too slow. */
  send(text: string): boolean {
    const controller = this.#controller;
    if (this.#closed || controller === undefined) return false;
    const bytes = encoder.encode(frame(undefined, text));
    const room = controller.desiredSize ?? 0;
    if (room < bytes.byteLength && room < this.#options.bufferBytes) {
      this.close("slow");
      return false;
    }
    controller.enqueue(bytes);
    this.#sent += 1;
    return true;
  }

  /** The number of messages sent. */
  get sent(): number {
    return this.#sent;
  }

  /** The bytes that the client has not read yet. */
  get buffered(): number {
    return Math.max(0, this.#options.bufferBytes - (this.#controller?.desiredSize ?? 0));
  }

  /** Whether the client has left half of the buffer unread: more may close the connection. */
  get full(): boolean {
    return this.buffered * 2 >= this.#options.bufferBytes;
  }

  /** Closes the connection after the messages already sent. Closing again does nothing. */
  close(reason: StreamCloseReason): void {
    if (this.#closed) return;
    this.#controller?.close();
    this.#finish(reason);
  }

  #finish(reason: StreamCloseReason): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#delay?.cancel();
    this.#options.onClose(reason);
  }

  #keepAlive(): void {
    this.#delay = this.#options.keepAlive.add(() => {
      const room = this.#controller?.desiredSize ?? 0;
      if (room > KEEP_ALIVE.length) this.#controller?.enqueue(encoder.encode(KEEP_ALIVE));
      this.#keepAlive();
    });
  }
}
