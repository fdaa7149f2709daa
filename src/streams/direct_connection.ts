/**
 * A connection without a log behind it: what is sent goes out now or never.
 *
 * @module
 */
import type { Delay, DelayLine } from "../internal/delay_line.ts";
import type { StreamCloseReason } from "../protocol/events.ts";
import { frame, KEEP_ALIVE } from "./sse.ts";

/** What a direct connection needs. */
export interface DirectOptions {
  /** Bytes that may wait for a slow reader; one message always may. */
  readonly bufferBytes: number;
  /** Line of keep-alive waits shared by all connections. */
  readonly keepAlive: DelayLine;
  /** Called exactly once when the connection is over. */
  readonly onClose: (reason: StreamCloseReason) => void;
}

const encoder = new TextEncoder();

/** A stream of messages to one reader, without event ids, so nobody can come back for the rest. */
export class DirectConnection {
  /** The body of the response. */
  readonly body: ReadableStream<Uint8Array>;
  readonly #options: DirectOptions;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #delay: Delay | undefined;
  #closed = false;

  constructor(options: DirectOptions) {
    this.#options = options;
    this.body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
      },
      cancel: () => this.#over("disconnected"),
    }, { highWaterMark: options.bufferBytes, size: (chunk) => chunk.byteLength });
    this.#beat();
  }

  /** Sends a message. `false` when the connection is over, or is now because its reader is too slow. */
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
    return true;
  }

  /** Ends the connection after what was sent. Safe to call twice. */
  close(reason: StreamCloseReason): void {
    if (this.#closed) return;
    this.#controller?.close();
    this.#over(reason);
  }

  #over(reason: StreamCloseReason): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#delay?.cancel();
    this.#options.onClose(reason);
  }

  #beat(): void {
    this.#delay = this.#options.keepAlive.add(() => {
      const room = this.#controller?.desiredSize ?? 0;
      if (room > KEEP_ALIVE.length) this.#controller?.enqueue(encoder.encode(KEEP_ALIVE));
      this.#beat();
    });
  }
}
