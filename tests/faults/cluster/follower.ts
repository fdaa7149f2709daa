/**
 * A client that listens to its session as clients do: when its stream breaks, it comes back for the rest
 * with the last id that it got, to whatever node is next.
 *
 * @module
 */
import { setTimeout as pause } from "node:timers/promises";
import { isObject } from "../../../src/protocol/jsonrpc.ts";
import { logData, type Peer } from "../../support/wire.ts";

/** How long it waits before it comes back, in milliseconds. */
const AGAIN_MS = 100;

/** Listens until it is stopped, or until the session is gone. */
export class Follower {
  /** What it was told, in that order. */
  readonly heard: unknown[] = [];
  /** Whether it has been told that there is no such session. */
  gone = false;
  readonly #peers: readonly Peer[];
  #open: ReadableStreamDefaultReader<string> | undefined;
  #last: string | undefined;
  #turn: number;
  #stopped = false;
  /** What happened last, for messages about what did not. */
  readonly #trail: string[] = [];

  /**
   * @param peers The client at each node
   * @param first The one to begin with
   */
  constructor(peers: readonly Peer[], first = 0) {
    this.#peers = peers;
    this.#turn = first;
    void this.#follow();
  }

  /** Whether a stream is open. */
  get listening(): boolean {
    return this.#open !== undefined;
  }

  /** What happened last. */
  get trail(): string {
    return [...this.#trail, `listening: ${this.listening}`].join(", ");
  }

  /** Goes away. */
  stop(): void {
    this.#stopped = true;
    void this.#open?.cancel().catch(() => {});
  }

  async #follow(): Promise<void> {
    while (!this.#stopped && !this.gone) {
      try {
        const peer = this.#peers[this.#turn++ % this.#peers.length];
        const response = await peer?.get(this.#last);
        this.gone = response?.status === 404;
        this.#note(`${response?.status} after ${this.#last}`);
        if (response?.status === 200) await this.#read(response);
        else await response?.body?.cancel();
      } catch (error) {
        // The node is dead, or died.
        this.#note(String(error).slice(0, 60));
      }
      this.#open = undefined;
      await pause(AGAIN_MS);
    }
  }

  #note(what: string): void {
    this.#trail.push(`${what} at ${Date.now()}`);
    if (this.#trail.length > 12) this.#trail.shift();
  }

  async #read(response: Response): Promise<void> {
    this.#open = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await this.#open?.read() ?? { done: true };
      if (done) return;
      const frames = `${text}${value}`.split("\n\n");
      text = frames.pop() ?? "";
      for (const frame of frames) this.#take(frame);
    }
  }

  #take(frame: string): void {
    const [, id] = /^id: (.*)$/m.exec(frame) ?? [];
    const [, data] = /^data: (.+)$/m.exec(frame) ?? [];
    if (id !== undefined) this.#last = id;
    const message: unknown = data === undefined ? undefined : JSON.parse(data);
    // A client that comes back to what nobody knows any more is told to look at the lists again.
    if (isObject(message) && message.method === "notifications/message") {
      this.heard.push(logData(message));
    }
  }
}
