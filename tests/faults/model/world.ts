/**
 * An endpoint of two nodes with one store, and its clients, driven one thing at a time.
 *
 * @module
 */
import assert from "node:assert/strict";
import { hasScopes, type RequestMessage, type Route } from "../../../src/protocol/route.ts";
import { createMcpHandler } from "../../../src/handler/handler.ts";
import type { McpHandler } from "../../../src/handler/types.ts";
import { MissingScopesError } from "../../../src/protocol/errors.ts";
import type { Exchange } from "../../../src/protocol/exchange.ts";
import { isObject, type JsonObject } from "../../../src/protocol/jsonrpc.ts";
import { FakeClock, flush } from "../../support/clock.ts";
import { as, BOTH, byToken, Events, Gate, Peer, Stub, text, textOf } from "../../support/wire.ts";
import { ASYNCHRONOUS, FaultyStore } from "../faulty_store.ts";
import { checkResponse } from "../invariants.ts";
import type { Accept, Limits } from "./reference.ts";

/** What a message says, in the words of the reference. */
function said(message: JsonObject): string {
  const { method, params, result, error } = message;
  if (method === "notifications/message" && isObject(params)) return String(params.data);
  if (method === "sampling/createMessage") return `?${nameOf(message)}`;
  if (isObject(error)) return `!${error.code}`;
  return method === undefined ? `=${textOf(result)}` : `${method}`;
}

/** The name of a question. */
function nameOf({ params }: JsonObject): string {
  return JSON.stringify(params).match(/q\d+/)?.[0] ?? "";
}

/** Reads a stream as fast as it comes. */
export class Reader {
  readonly messages: string[] = [];
  ended = false;
  lastId: string | undefined;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #hear: (message: JsonObject) => void;

  /**
   * @param before What was read of the same stream before
   * @param hear Called with every message
   */
  constructor(
    response: Response,
    before: readonly string[],
    hear: (message: JsonObject) => void,
  ) {
    assert.equal(response.headers.get("content-type"), "text/event-stream");
    assert.ok(response.body);
    this.messages.push(...before);
    this.#hear = hear;
    this.#reader = response.body.getReader();
    this.#read().catch(() => {
      this.messages.push("broken");
    });
  }

  async cancel(): Promise<void> {
    await this.#reader.cancel();
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    let rest = "";
    for (let part = await this.#reader.read(); !part.done; part = await this.#reader.read()) {
      const frames = (rest + decoder.decode(part.value, { stream: true })).split("\n\n");
      rest = frames.pop() ?? "";
      for (const frame of frames) this.#take(frame);
    }
    assert.equal(rest, "");
    this.ended = true;
  }

  #take(frame: string): void {
    for (const line of frame.split("\n")) {
      if (line.startsWith("id: ")) this.lastId = line.slice(4);
      if (!line.startsWith("data: {")) continue;
      const message: unknown = JSON.parse(line.slice(6));
      assert.ok(isObject(message));
      this.#hear(message);
      this.messages.push(said(message));
    }
  }
}

/** A session as its client knows it. */
export interface Client {
  readonly peer: Peer;
  readonly owner: string;
  server: Reader | undefined;
  /** The ids of the questions that were asked in it. */
  readonly questions: Map<string, unknown>;
}

/** A call as its client and its tool know it. */
export interface Run {
  readonly client: Client;
  readonly key: string;
  readonly id: number;
  readonly accept: Accept;
  readonly response: Promise<Response>;
  status: number | undefined;
  /** Which scopes it was told to ask for, if it was refused. */
  challenge: string | undefined;
  /** What came instead of a stream. */
  body: string | undefined;
  reader: Reader | undefined;
}

const ACCEPT: Readonly<Record<Accept, string>> = {
  both: BOTH,
  json: "application/json",
  sse: "text/event-stream",
};

/** The scope that the tool needs. */
const SCOPE = "work";

/** What a client is told that lacks it. */
export const CHALLENGE = `Bearer error="insufficient_scope", scope="${SCOPE} any"`;

/** Says what its tool needs before it is called. */
class ScopedStub extends Stub {
  override route(message: RequestMessage): Route {
    const route = super.route(message);
    return message.method === "tools/call" ? { ...route, scopes: [SCOPE] } : route;
  }
}

/** The endpoint. */
export class World {
  /** Who has the scope at this moment. */
  readonly rights = new Set(["alice", "bob", "mallory"]);
  readonly clock = new FakeClock();
  readonly store = new FaultyStore();
  readonly events = new Events();
  readonly nodes: readonly McpHandler[];
  readonly #exchanges = new Map<string, Exchange>();
  readonly #gates = new Map<string, Gate<string>>();
  readonly #replies = new Map<string, string[]>();

  /**
   * @param slow Whether the store takes its time for each of its answers
   * @param early Whether the endpoint knows what the tool needs, or only the tool itself
   */
  constructor({ idleMs, absoluteMs, ...limits }: Limits, slow: boolean, early: boolean) {
    const Tools = early ? ScopedStub : Stub;
    const waits: ReadonlySet<string> = new Set(ASYNCHRONOUS);
    if (slow) this.store.fault = (call) => waits.has(call) ? "late" : undefined;
    this.nodes = [0, 1].map(() =>
      createMcpHandler(new Tools({ work: (exchange) => this.#work(exchange) }), {
        clock: this.clock,
        store: this.store,
        authenticate: (request) => {
          const { id } = byToken(request);
          return { id, scopes: this.rights.has(id) ? ["any", SCOPE] : ["any"] };
        },
        onEvent: this.events.onEvent,
        limits,
        sessions: { idleMs, absoluteMs },
        requests: { askTimeoutMs: 2 ** 40 },
      })
    );
  }

  /** Lets everything happen that doesn't wait for the clock. */
  async settle(): Promise<void> {
    for (let still = 0; still < 3; still++) {
      await flush();
      if (!this.store.waiting) continue;
      this.store.release();
      still = -1;
    }
    await flush();
  }

  /** Waits for a response that must come. */
  async #answer(answering: Promise<Response>): Promise<Response> {
    let response: Response | undefined;
    answering.then((value) => response = value, () => {});
    for (let turn = 0; turn < 10 && response === undefined; turn++) await this.settle();
    assert.ok(response, "a request is not answered");
    await checkResponse(response, [503]);
    return response;
  }

  /** The same client at a node. */
  at(client: Client, node: number): Peer {
    return client.peer.with({ fetch: this.nodes[node] });
  }

  async begin(owner: string, node: number): Promise<Client | undefined> {
    const fetch = this.nodes[node];
    assert.ok(fetch);
    const peer = new Peer(fetch, { headers: as(owner), capabilities: { sampling: {} } });
    const response = await this.#answer(peer.post(peer.initializeRequest()));
    if (response.status === 503) return undefined;
    assert.equal(response.status, 200);
    peer.sessionId = String(response.headers.get("mcp-session-id"));
    await this.#answer(peer.post({ jsonrpc: "2.0", method: "notifications/initialized" }));
    return { peer, owner, server: undefined, questions: new Map() };
  }

  /** What a client's request is answered with. */
  async ask(asking: (peer: Peer) => Promise<Response>, client: Client, node: number) {
    return await this.#answer(asking(this.at(client, node)));
  }

  call(client: Client, node: number, id: number, accept: Accept, key: string): Run {
    const response = this.at(client, node).call(id, "work", { key }, { accept: ACCEPT[accept] });
    const run: Run = {
      ...{ client, key, id, accept, response },
      ...{ status: undefined, challenge: undefined, body: undefined, reader: undefined },
    };
    response.then(async (response) => {
      await checkResponse(response, [503]);
      run.status = response.status;
      run.challenge = response.headers.get("www-authenticate") ?? undefined;
      if (response.headers.get("content-type") !== "text/event-stream") {
        run.body = await response.text();
      } else run.reader = this.read(response, client, []);
    }).catch((error) => {
      run.body = `broken: ${error}`;
    });
    return run;
  }

  /** Reads a stream for a client. */
  read(response: Response, client: Client, before: readonly string[]): Reader {
    return new Reader(response, before, (message) => {
      if (message.method === "sampling/createMessage") {
        client.questions.set(nameOf(message), message.id);
      }
    });
  }

  /** The tool speaks, though its call may be over. */
  say({ key }: Run, data: string): void {
    this.#exchanges.get(key)?.notify({
      method: "notifications/message",
      params: { level: "info", data },
    });
  }

  /** The tool asks, and goes on. */
  question({ key }: Run, name: string): void {
    const messages = [{ role: "user", content: { type: "text", text: name } }];
    this.#exchanges.get(key)?.ask("sampling/createMessage", { messages, maxTokens: 1 }).then(
      (result) => this.#replies.get(key)?.push(String(textOf({ content: [result.content] }))),
      () => {},
    );
  }

  finish({ key }: Run): void {
    this.#gates.get(key)?.open("");
  }

  async #work(exchange: Exchange): Promise<JsonObject> {
    if (!hasScopes(exchange.principal, [SCOPE])) throw new MissingScopesError([SCOPE]);
    const { arguments: args } = exchange.params;
    const key = isObject(args) ? String(args.key) : "";
    const gate = new Gate<string>();
    const replies: string[] = [];
    this.#exchanges.set(key, exchange);
    this.#gates.set(key, gate);
    this.#replies.set(key, replies);
    await gate.promise;
    return text(replies.join());
  }
}
