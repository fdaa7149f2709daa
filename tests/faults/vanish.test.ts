/**
 * Bodies that trickle, stall or break off, connections of which half is open, and clients that vanish:
 * at every step of everything that a client does, in both eras.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler } from "../../src/handler/types.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { McpServer } from "../../src/server/server.ts";
import type { RequestContext } from "../../src/server/types.ts";
import { FakeClock, flush } from "../support/clock.ts";
import { CAPABLE, envelope, headersFor, MODERN } from "../support/modern.ts";
import { as, BOTH, byToken, Events, Gate, Peer, URL_2025 } from "../support/wire.ts";
import { assertEmpty, checkResponse, NOTHING, outcomeOf, quiet, until } from "./invariants.ts";
import { property } from "./runs.ts";

const encoder = new TextEncoder();

/** How a client sends a body. */
type Sending =
  /** Byte by byte, a turn for each piece. */
  | { readonly kind: "trickles"; readonly piece: number }
  /** The first bytes, and then nothing any more, for ever. */
  | { readonly kind: "stalls"; readonly after: number }
  /** The first bytes, and then the connection breaks. */
  | { readonly kind: "breaks"; readonly after: number }
  /** Nothing but the first bytes, as if that were all. */
  | { readonly kind: "ends"; readonly after: number };

/** A body as a client sends it. */
function bodyOf(text: string, sending: Sending): ReadableStream<Uint8Array> {
  const bytes = encoder.encode(text);
  let at = 0;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const most = sending.kind === "trickles"
        ? bytes.length
        : Math.min(sending.after, bytes.length);
      if (at < most) {
        await flush();
        const end = Math.min(most, at + (sending.kind === "trickles" ? sending.piece : most));
        controller.enqueue(bytes.subarray(at, end));
        at = end;
      } else if (sending.kind === "stalls") await new Promise(() => {});
      else if (sending.kind === "breaks") controller.error(new Error("connection reset"));
      else controller.close();
    },
  }, { highWaterMark: 0 });
}

describe("GATE: bodies that take their time", () => {
  const sending: fc.Arbitrary<Sending> = fc.oneof(
    fc.record({ kind: fc.constant("trickles" as const), piece: fc.integer({ min: 1, max: 50 }) }),
    fc.record({ kind: fc.constant("stalls" as const), after: fc.nat(200) }),
    fc.record({ kind: fc.constant("breaks" as const), after: fc.nat(200) }),
    fc.record({ kind: fc.constant("ends" as const), after: fc.nat(200) }),
  );
  property(
    "[GATE-8, GATE-9, GATE-10, STR-11] they hold up nobody else, and hold no place",
    fc.record({
      sending,
      // A proxy may declare a length that isn't true
      length: fc.option(fc.constantFrom("0", "10", "400", "1048576", "-5", "x")),
      text: fc.constantFrom("\ud83d\ude00", "\u00e9\u4e2d", "x"),
    }),
    { everyday: 250, long: 10_000 },
    async ({ sending, length, text }) => {
      const handler = createMcpHandler(new McpServer({ name: "s", version: "1.0.0" }), {
        clock: new FakeClock(),
      });
      const init = new Peer(handler).initializeRequest(text);
      const body = JSON.stringify(init);
      const headers = new Headers({ "content-type": "application/json", "accept": BOTH });
      if (length !== null) headers.set("content-length", length);
      const request = new Request(URL_2025, {
        method: "POST",
        headers,
        body: bodyOf(body, sending),
        ...{ duplex: "half" },
      });
      const slow = handler(request);
      const other = new Peer(handler);
      await other.initialize();
      assert.equal((await other.delete()).status, 204);
      assert.deepEqual(handler.stats(), { ...NOTHING, sessions: handler.stats().sessions });
      const whole = sending.kind === "trickles" ||
        sending.kind === "ends" && sending.after >= encoder.encode(body).length;
      if (sending.kind === "stalls") assert.equal(await outcomeOf(slow), undefined);
      else {
        const response = await slow;
        await checkResponse(response, [], body);
        assert.equal(response.status, whole ? 200 : 400, await response.clone().text());
        const id = response.headers.get("mcp-session-id");
        assert.equal(id !== null, whole);
        if (whole) {
          const message: JsonObject = await response.json();
          assert.equal(message.id, text);
          await handler.sessions.end(String(id));
        }
      }
      await assertEmpty(handler);
      await handler.close();
    },
  );

  test("[END-1] a body that stalls holds up no close, and begins nothing when it comes after", async () => {
    const clock = new FakeClock();
    const handler = createMcpHandler(new McpServer({ name: "s", version: "1.0.0" }), { clock });
    const gate = new Gate<void>();
    const text = JSON.stringify(new Peer(handler).initializeRequest());
    const body = new ReadableStream<Uint8Array>({
      async pull(controller) {
        await gate.promise;
        controller.enqueue(encoder.encode(text));
        controller.close();
      },
    }, { highWaterMark: 0 });
    const headers = { "content-type": "application/json" };
    const slow = handler(
      new Request(URL_2025, { method: "POST", headers, body, ...{ duplex: "half" } }),
    );
    await quiet();
    await handler.close();
    gate.open();
    const response = await slow;
    await checkResponse(response, [503]);
    assert.equal(response.status, 503);
    assert.deepEqual(handler.stats(), NOTHING);
  });
});

/** Everything a tool can be busy with when its client vanishes. */
class Busy {
  readonly server = new McpServer({ name: "faults", version: "1.0.0" });
  /** What runs, whether its client knows or not. */
  readonly #running = new Set<RequestContext>();
  readonly #gates: Gate<void>[] = [];

  constructor() {
    this.#register("wait", () => this.#wait());
    this.#register("speak", async (ctx) => {
      for (let n = 1; n <= 3; n++) {
        ctx.notify({ method: "notifications/x", params: { n } });
        ctx.progress(n);
        await this.#wait();
      }
    });
    this.#register("ask", async (ctx) => {
      await ctx.roots();
      await this.#wait();
    });
    this.#register("let-go", async (ctx) => {
      ctx.closeStream({ retryMs: 1 });
      await this.#wait();
    });
    this.server.registerResource(
      "note",
      "test://note",
      {},
      (_uri, ctx) => this.#run(ctx, () => this.#wait()),
    );
  }

  /** Lets everything that waits go on. */
  step(): void {
    for (const gate of this.#gates.splice(0)) gate.open();
  }

  /** How much runs for clients that are there, or of the older era, where gone is not cancelled. */
  get wanted(): number {
    return [...this.#running].filter(({ protocolVersion, request }) =>
      protocolVersion !== MODERN || !request.signal.aborted
    ).length;
  }

  #register(name: string, act: (ctx: RequestContext) => Promise<void>): void {
    this.server.registerTool(name, {}, (_args, ctx) => this.#run(ctx, () => act(ctx)));
  }

  async #run(ctx: RequestContext, act: () => Promise<void>): Promise<string> {
    this.#running.add(ctx);
    try {
      await act();
      return "done";
    } finally {
      this.#running.delete(ctx);
    }
  }

  async #wait(): Promise<void> {
    const gate = new Gate<void>();
    this.#gates.push(gate);
    await gate.promise;
  }
}

/** A request of a client that will vanish. */
interface Asked {
  readonly method?: "GET" | "DELETE";
  readonly body?: JsonObject;
  readonly headers?: Readonly<Record<string, string>>;
}

function call(name: string): Asked {
  const params = { name, arguments: {}, _meta: { progressToken: "t" } };
  return { body: { jsonrpc: "2.0", id: 1, method: "tools/call", params } };
}

function modern(method: string, params: JsonObject): Asked {
  const body = { jsonrpc: "2.0", id: 1, method, params: { ...params, _meta: envelope(CAPABLE) } };
  return { body, headers: headersFor(method, params) };
}

const ASKED: Readonly<Record<string, Asked>> = {
  "initialize": { body: new Peer(() => Promise.reject()).initializeRequest() },
  "initialized": { body: { jsonrpc: "2.0", method: "notifications/initialized" } },
  "a call that waits": call("wait"),
  "a call that speaks": call("speak"),
  "a call that asks": call("ask"),
  "a call that lets go": call("let-go"),
  "a resource": {
    body: { jsonrpc: "2.0", id: 1, method: "resources/read", params: { uri: "test://note" } },
  },
  "a GET": { method: "GET" },
  "a GET that resumes": { method: "GET", headers: { "last-event-id": "s.0" } },
  "a DELETE": { method: "DELETE" },
  "a call of 2026 that waits": modern("tools/call", { name: "wait", arguments: {} }),
  "a call of 2026 that speaks": modern("tools/call", { name: "speak", arguments: {} }),
  "a call of 2026 that asks": modern("tools/call", { name: "ask", arguments: {} }),
  "a resource of 2026": modern("resources/read", { uri: "test://note" }),
  "a subscription of 2026": modern("subscriptions/listen", {
    notifications: { toolsListChanged: true, resourceSubscriptions: ["test://note"] },
  }),
};

/** When a client vanishes, and how. */
interface Vanishing {
  /** Whether its connection is known to be gone, or nothing is ever heard of it again. */
  readonly known: boolean;
  /** How many pieces of the answer it still reads. */
  readonly reads: number;
  /** How long it waited before, in milliseconds. */
  readonly ms: number;
  /** How often the tool went on before. */
  readonly steps: number;
}

interface Client extends Vanishing {
  readonly what: string;
  readonly accept: string;
}

const client: fc.Arbitrary<Client> = fc.record({
  what: fc.constantFrom(...Object.keys(ASKED)),
  accept: fc.constantFrom(BOTH, BOTH, "application/json", "text/event-stream"),
  known: fc.boolean(),
  reads: fc.nat(4),
  ms: fc.constantFrom(0, 0, 100, 300, 1_500, 20_000),
  steps: fc.nat(4),
});

/** How many subscriptions there may be: more than one run has clients. */
const LISTENS = 8;

class World {
  readonly clock = new FakeClock();
  readonly events = new Events();
  readonly busy = new Busy();
  readonly handler: McpHandler = createMcpHandler(this.busy.server, {
    clock: this.clock,
    authenticate: byToken,
    onEvent: this.events.onEvent,
    limits: { listens: LISTENS },
  });

  /** Takes so many places for subscriptions, which have to be there, and gives them back. */
  async fill(places: number): Promise<void> {
    const { method, body, headers } = {
      method: "POST",
      headers: {},
      ...ASKED["a subscription of 2026"],
    };
    for (let place = 0; place < places; place++) {
      const all = { ...as("alice"), "content-type": "application/json", ...headers };
      const request = new Request(URL_2025, { method, headers: all, body: JSON.stringify(body) });
      const response = await this.handler(request);
      assert.equal(response.status, 200, "a place was not given back");
      this.#filled.push(response);
    }
    for (const { body } of this.#filled.splice(0)) await body?.cancel();
  }
  readonly #filled: Response[] = [];

  /** A client in a session of its own that does one thing and vanishes. */
  async visit({ what, accept, known, reads, ms, steps }: Client): Promise<void> {
    const { handler, clock } = this;
    const peer = new Peer(handler, { headers: as("alice"), capabilities: { roots: {} } });
    await peer.initialize();
    const { method = "POST", body, headers = {} } = ASKED[what] ?? {};
    const gone = new AbortController();
    const request = new Request(URL_2025, {
      method,
      headers: {
        ...as("alice"),
        "content-type": "application/json",
        accept,
        ...headers["mcp-method"] === undefined && peer.sessionId !== undefined
          ? { "mcp-session-id": peer.sessionId }
          : {},
        ...headers,
      },
      body: body && JSON.stringify(body),
      signal: gone.signal,
    });
    const answering = handler(request);
    answering.catch(() => {});
    await clock.advance(ms);
    for (let step = 0; step < steps; step++) {
      this.busy.step();
      await quiet(2);
    }
    const outcome = await outcomeOf(answering);
    assert.ok(outcome === undefined || "value" in outcome);
    const reader = outcome?.value.body?.getReader();
    if (outcome !== undefined) {
      const { status } = outcome.value;
      assert.ok(status < 500, `${status}`);
    }
    for (let read = 0; read < reads; read++) {
      if (await Promise.race([reader?.read(), quiet(2)]) === undefined) break;
    }
    if (!known) return;
    gone.abort();
    await reader?.cancel();
    // An answer that comes after is thrown away, as hosts do
    if (outcome === undefined) answering.then((response) => response.body?.cancel(), () => {});
  }
}

describe("STR: clients that vanish", () => {
  property(
    "[STR-6, STR-11, CAN-6, CAN-7] whatever they did, and whenever they went, nothing of them is left",
    fc.array(client, { minLength: 1, maxLength: 6 }),
    { everyday: 250, long: 10_000 },
    async (clients) => {
      const world = new World();
      const { handler, clock, busy } = world;
      for (const each of clients) await world.visit(each);
      busy.server.resourceUpdated("test://note");
      busy.server.registerTool("another", {}, () => "");
      await clock.advance(1_000);
      // 2026: gone is cancelled, within a second
      await until(() => handler.stats().requests <= busy.wanted);
      assert.ok(handler.stats().requests <= busy.wanted, JSON.stringify(handler.stats()));
      // What goes on without its client comes to its end
      for (let step = 0; step < 5; step++) {
        busy.step();
        await quiet(2);
      }
      // Only of those that nobody knows to be gone a connection is left
      const silent = clients.filter(({ known }) => !known).length;
      const { requests, listens, streams } = handler.stats();
      assert.ok(listens <= silent && streams <= silent, JSON.stringify(handler.stats()));
      assert.ok(requests <= busy.wanted, JSON.stringify(handler.stats()));
      // What is left ends with its session, and with its subscription
      await clock.advance(4 * 3_600_000 + 60_000);
      await until(() => handler.stats().requests === 0);
      await world.fill(LISTENS - handler.stats().listens);
      assert.deepEqual({ ...handler.stats(), listens: 0, streams: 0 }, NOTHING);
      const closed = handler.close({ graceMs: 0 });
      await clock.advance(1);
      await closed;
      assert.deepEqual(handler.stats(), NOTHING);
      const errors = world.events.of("error").map(({ error }) => error);
      assert.deepEqual(
        errors.filter((error) => !isObject(error) || error.name !== "StopError"),
        [],
      );
    },
  );
});
