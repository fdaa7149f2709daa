/**
 * A client that calls a tool and comes back for the rest of its answer, as the protocol says: to whatever
 * node is next, with the last event id that it got.
 *
 * @module
 */
import { setTimeout as pause } from "node:timers/promises";
import { isObject, type JsonObject } from "../../../src/protocol/jsonrpc.ts";
import { BOTH, type Peer, URL_2025 } from "../../support/wire.ts";

/** How long it waits before it comes back, in milliseconds. */
const AGAIN_MS = 100;

/** What became of a call. */
export interface Outcome {
  /** Its responses. */
  readonly responses: readonly JsonObject[];
  /** What came before them. */
  readonly heard: readonly JsonObject[];
  /** The first event id that it got; it has what came on the stream after it. */
  readonly firstId: string | undefined;
  /** Whether it has come back for the rest. */
  readonly resumed: boolean;
  /** Why there is no response: a status that refuses the call, or a connection that can't be resumed. */
  readonly refused: number | "broken" | undefined;
  /** When it ended, in milliseconds since the epoch. */
  readonly endedAt: number;
}

/** Reads the stream of one call. */
export class Caller {
  readonly #peers: readonly Peer[];
  readonly #heard: JsonObject[] = [];
  readonly #responses: JsonObject[] = [];
  readonly #stop = new AbortController();
  #turn = 0;
  #leave: (() => void) | undefined;
  #resumed = false;
  #firstId: string | undefined;
  #lastId: string | undefined;
  #refused: number | "broken" | undefined;
  /** What happened last, for messages about what did not. */
  readonly #trail: string[] = [];

  /** @param peers The client at each node, in turn */
  constructor(peers: readonly Peer[]) {
    this.#peers = peers;
  }

  /** What happened last. */
  get trail(): string {
    return this.#trail.slice(-12).join(", ");
  }

  /** What it has heard so far. */
  get heard(): readonly JsonObject[] {
    return this.#heard;
  }

  /** Breaks its connection, as a lost network does, and comes back. */
  leave(): void {
    this.#leave?.();
  }

  /** Leaves without an answer. */
  stop(): void {
    this.#stop.abort();
  }

  /** Calls a tool, and stays until it has an answer, is refused, or is stopped. */
  async call(id: string | number, name: string, args: JsonObject): Promise<Outcome> {
    return await this.send({ id, method: "tools/call", params: { name, arguments: args } });
  }

  /** Sends a request, or several as a batch. */
  async send(...requests: readonly JsonObject[]): Promise<Outcome> {
    const messages = requests.map((request) => ({ jsonrpc: "2.0", ...request }));
    const body = JSON.stringify(messages.length === 1 ? messages[0] : messages);
    const most = requests.length;
    const headers = { "content-type": "application/json", accept: BOTH };
    await this.#take(() => this.#fetch("POST", headers, body));
    while (this.#refused === undefined && this.#responses.length < most && !this.#stopped) {
      // A connection that broke before its first id can't be resumed: its client knows that.
      if (this.#lastId === undefined) this.#refused = "broken";
      else await this.#resume(this.#lastId);
    }
    return this.#outcome();
  }

  /** Reads a stream again from an event on, to its end. */
  async replay(firstId: string): Promise<Outcome> {
    this.#lastId = firstId;
    await this.#resume(firstId);
    return this.#outcome();
  }

  get #stopped(): boolean {
    return this.#stop.signal.aborted;
  }

  #outcome(): Outcome {
    return {
      responses: this.#responses,
      heard: this.#heard,
      firstId: this.#firstId,
      resumed: this.#resumed,
      refused: this.#refused,
      endedAt: Date.now(),
    };
  }

  async #resume(lastId: string): Promise<void> {
    this.#resumed = true;
    await pause(AGAIN_MS);
    const headers = { accept: "text/event-stream", "last-event-id": lastId };
    await this.#take(() => this.#fetch("GET", headers), true);
  }

  /** Reads a response. One that breaks, or a refusal to resume for now, leaves all as it is. */
  async #take(get: () => Promise<Response>, resumed = false): Promise<void> {
    try {
      const response = await get();
      const { status, headers, body } = response;
      this.#trail.push(`${status} after ${this.#lastId}`);
      if (status === 200 && headers.get("content-type") === "text/event-stream") {
        return await this.#read(body?.pipeThrough(new TextDecoderStream()).getReader());
      }
      const text = await response.text();
      if (status === 200) {
        const said: unknown = JSON.parse(text);
        for (const message of Array.isArray(said) ? said : [said]) this.#responses.push(message);
      } else if (!resumed || status === 404 || status === 405) {
        this.#refused = status;
      }
    } catch (error) {
      // The node is dead, or died.
      this.#trail.push(String(error).slice(0, 60));
    }
  }

  async #read(reader: ReadableStreamDefaultReader<string> | undefined): Promise<void> {
    const stop = () => void reader?.cancel().catch(() => {});
    this.#stop.signal.addEventListener("abort", stop);
    this.#leave = stop;
    try {
      for (let text = "";;) {
        const { done, value } = await reader?.read() ?? { done: true };
        if (done) return void this.#trail.push("end");
        const frames = `${text}${value}`.split("\n\n");
        text = frames.pop() ?? "";
        for (const frame of frames) this.#frame(frame);
      }
    } finally {
      this.#stop.signal.removeEventListener("abort", stop);
    }
  }

  #frame(frame: string): void {
    const [, id] = /^id: (.*)$/m.exec(frame) ?? [];
    const [, data] = /^data: (.+)$/m.exec(frame) ?? [];
    this.#firstId ??= id;
    if (id !== undefined) this.#lastId = id;
    const message: unknown = data === undefined ? undefined : JSON.parse(data);
    if (!isObject(message)) return;
    if (message.method === undefined) this.#responses.push(message);
    else this.#heard.push(message);
  }

  #fetch(method: string, extra: Record<string, string>, body?: string): Promise<Response> {
    const peer = this.#peers[this.#turn++ % this.#peers.length];
    if (peer === undefined) throw new TypeError("Give a peer");
    const headers = { ...peer.headers, ...extra, "mcp-session-id": peer.sessionId ?? "" };
    return peer.fetch(new Request(URL_2025, { method, headers, body }));
  }
}
