/**
 * A bare client on the pipes of a server in the same process. It sends lines, and holds every line that it
 * gets against the published schema.
 *
 * @module
 */
import assert from "node:assert/strict";
import { serveStdio, type StdioOptions, type StdioServer } from "../../src/adapters/stdio.ts";
import type { Dispatcher } from "../../src/protocol/exchange.ts";
import type { JsonObject, RequestId } from "../../src/protocol/jsonrpc.ts";
import { assertServerMessage, type SchemaVersion } from "./schema.ts";
import { soon } from "./wire.ts";

const encoder = new TextEncoder();

/** A client that writes lines to a server, and reads lines from it unless it is told not to. */
export class PipeClient implements AsyncDisposable {
  readonly server: StdioServer;
  /** Every message that came and that nobody waited for, oldest first. */
  readonly received: JsonObject[] = [];
  /** The version by which messages are checked. */
  version: SchemaVersion = "2025-11-25";
  /** Resolves when the server has closed its output. */
  readonly ended: Promise<void>;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #output: ReadableStreamDefaultReader<Uint8Array>;
  readonly #methods = new Map<RequestId, string>();
  readonly #wakes = new Set<() => void>();
  readonly #end: () => void;
  #over = false;

  /** @param reading Whether to read from the beginning; {@linkcode read} begins later */
  constructor(source: Dispatcher, options: StdioOptions = {}, reading = true) {
    const input = new TransformStream<Uint8Array, Uint8Array>();
    const output = new TransformStream<Uint8Array, Uint8Array>();
    this.#input = input.writable.getWriter();
    this.#output = output.readable.getReader();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    this.#end = resolve;
    this.server = serveStdio(source, {
      input: input.readable,
      output: output.writable,
      ...options,
    });
    if (reading) void this.read();
  }

  /** Reads until the output ends. */
  async read(): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    try {
      for (;;) {
        const { done, value } = await this.#output.read();
        if (done) break;
        const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) this.#receive(JSON.parse(line));
      }
      assert.equal(rest, "");
    } finally {
      this.#over = true;
      for (const wake of this.#wakes) wake();
      this.#end();
    }
  }

  /** Writes text as it is. */
  async write(text: string | Uint8Array): Promise<void> {
    await this.#input.write(typeof text === "string" ? encoder.encode(text) : text);
  }

  /** Sends messages, in one piece. */
  async send(...messages: readonly JsonObject[]): Promise<void> {
    for (const { id, method } of messages) {
      if (typeof method === "string" && id !== undefined) {
        this.#methods.set(id as RequestId, method);
      }
    }
    await this.write(
      messages.map((one) => `${JSON.stringify({ jsonrpc: "2.0", ...one })}\n`).join(""),
    );
  }

  /** Sends a request and waits for its response. */
  async request(id: RequestId, method: string, params?: JsonObject): Promise<JsonObject> {
    await this.send({ id, method, ...params && { params } });
    return await this.response(id);
  }

  /** Waits for the response to a request, and takes it. */
  response(id: RequestId | null): Promise<JsonObject> {
    return this.next(`a response to ${id}`, (one) => one.id === id && one.method === undefined);
  }

  /** Waits for a notification, or a question, and takes it. */
  message(method: string): Promise<JsonObject> {
    return this.next(method, (one) => one.method === method);
  }

  /** Waits for a message, and takes it. */
  async next(what: string, is: (message: JsonObject) => boolean): Promise<JsonObject> {
    for (;;) {
      const at = this.received.findIndex(is);
      const [found] = at === -1 ? [] : this.received.splice(at, 1);
      if (found !== undefined) return found;
      if (this.#over) assert.fail(`The output ended without ${what}`);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wakes.add(resolve);
      await soon(promise, what);
      this.#wakes.delete(resolve);
    }
  }

  /** Shakes hands as a client of the 2025 era. */
  async initialize(capabilities: JsonObject = {}, version = this.version): Promise<JsonObject> {
    this.version = version;
    const clientInfo = { name: "pipe", version: "1.0.0" };
    const response = await this.request("hello", "initialize", {
      protocolVersion: version,
      capabilities,
      clientInfo,
    });
    await this.send({ method: "notifications/initialized" });
    return response;
  }

  /** Closes the input. */
  async closeInput(): Promise<void> {
    await this.#input.close();
  }

  /** Closes the client's end of the output. */
  async closeOutput(): Promise<void> {
    await this.#output.cancel();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.close({ graceMs: 0 });
  }

  #receive(message: JsonObject | readonly JsonObject[]): void {
    for (const one of [message].flat() as JsonObject[]) {
      const method = one.method === undefined && this.#methods.get(one.id as RequestId);
      assertServerMessage(this.version, one, method || undefined);
    }
    this.received.push(message as JsonObject);
    for (const wake of this.#wakes) wake();
  }
}
