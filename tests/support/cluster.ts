/**
 * Several handlers in one process that share a store as several processes would: what they tell each
 * other is sealed, and some sessions are held by one of them alone.
 *
 * @module
 */
import { memoryStore } from "../../src/cluster/memory/store.ts";
import type { Backplane, BusMember, Store, StoreSettings } from "../../src/cluster/types.ts";
import type { Clock } from "../../src/internal/clock.ts";
import type { QuotaStore } from "../../src/internal/quota_store.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler, McpHandlerOptions } from "../../src/handler/types.ts";
import { FakeClock } from "./clock.ts";
import { readEnvelope } from "./envelope.ts";
import { settle } from "./settle.ts";
import {
  type Act,
  as,
  Blocker,
  byToken,
  Events,
  Gate,
  initialize,
  logMessage,
  type Peer,
  type PeerOptions,
  Stub,
  text,
} from "./wire.ts";

/** A secret that all handlers of a test have. */
export const KEY = "a secret that is long enough for all of them";

/** A store in memory whose handlers believe that other processes have it too. */
export class SharedStore implements Store {
  readonly shared = true;
  /** What travels on the bus, by sender and, unless it is for all, by receiver. */
  readonly texts: {
    readonly from: string;
    readonly to: string | undefined;
    readonly text: string;
    /** What a node with the key reads. */
    readonly opened: string;
  }[] = [];
  /** Says what becomes of an opened text: it may be lost on its way, or known to be. */
  fate: (
    text: string,
    to: string | undefined,
  ) => "arrives" | "lost" | "refused" | "fails" | "stuck" = () => "arrives";
  /** The time that a message to one node takes, in milliseconds. */
  latencyMs = 0;
  /** Nodes that are dead: they say nothing any more, and nobody reaches them. */
  readonly dead = new Set<string>();
  /** Counts for all nodes, instead of the store in memory: set it before the first handler. */
  remote: QuotaStore | undefined;
  readonly #inner = memoryStore();
  #backplane: Backplane | undefined;
  #clock: Clock | undefined;

  open(settings: StoreSettings): Backplane {
    const { secret: _, ...backplane } = this.#inner.open(settings);
    this.#backplane = backplane;
    this.#clock = settings.clock;
    return {
      ...backplane,
      bus: {
        join: (node, listener) => this.#watched(node, backplane.bus.join(node, listener)),
      },
      nodes: {
        beat: (node, ttlMs) =>
          this.dead.has(node.id) ? undefined : backplane.nodes.beat(node, ttlMs),
        find: (id) => backplane.nodes.find(id),
        leave: (id) => backplane.nodes.leave(id),
      },
    };
  }

  quotas(clock: Clock): QuotaStore {
    const quotas = this.remote ?? this.#inner.quotas?.(clock);
    if (quotas === undefined) throw new Error("The store in memory counts for all nodes");
    return quotas;
  }

  /** What is kept. */
  get inside(): Backplane {
    if (this.#backplane === undefined) throw new Error("No handler has opened the store");
    return this.#backplane;
  }

  /** Fails as a bus does that gets no answer: after two seconds. */
  #stuck(): Promise<never> {
    return new Promise((_, reject) => {
      this.#clock?.timer(2_000, () => reject(new Error("The bus doesn't answer")));
    });
  }

  async #later(member: BusMember, to: string, text: string): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#clock?.timer(this.latencyMs, resolve);
    await promise;
    return await member.send(to, text);
  }

  #watched(from: string, member: BusMember): BusMember {
    return {
      publish: (text) => {
        if (this.dead.has(from)) return;
        const opened = readEnvelope(KEY, text);
        this.texts.push({ from, to: undefined, text, opened });
        const fate = this.fate(opened, undefined);
        if (fate === "fails") throw new Error("The bus is away");
        if (fate === "arrives") return member.publish(text);
      },
      send: (to, text) => {
        if (this.dead.has(from) || this.dead.has(to)) return false;
        const opened = readEnvelope(KEY, text);
        this.texts.push({ from, to, text, opened });
        const fate = this.fate(opened, to);
        if (fate === "fails") throw new Error("The bus is away");
        if (fate === "stuck") return this.#stuck();
        if (fate !== "arrives") return fate === "lost";
        return this.latencyMs === 0 ? member.send(to, text) : this.#later(member, to, text);
      },
      leave: () => member.leave(),
    };
  }
}

/** A dispatcher whose sessions live in one process. */
export class PinnedStub extends Stub {
  readonly pinned = true;
}

/** One handler of a cluster, and what a test does to its tools. */
export interface TestNode {
  readonly stub: Stub;
  readonly events: Events;
  readonly blocker: Blocker;
  readonly finish: Gate<string>;
  readonly handler: McpHandler;
}

/** Makes handlers that share a store. */
export class Cluster {
  readonly clock = new FakeClock();
  readonly store = new SharedStore();
  readonly nodes: TestNode[] = [];
  readonly #pinned: boolean;
  readonly #options: McpHandlerOptions;
  readonly #tools: Readonly<Record<string, Act>>;

  constructor(
    { pinned = false, tools = {}, ...options }: McpHandlerOptions & {
      readonly pinned?: boolean;
      readonly tools?: Readonly<Record<string, Act>>;
    } = {},
  ) {
    this.#pinned = pinned;
    this.#options = options;
    this.#tools = tools;
  }

  /** Adds a handler. */
  add(options: McpHandlerOptions = {}): TestNode {
    const events = new Events();
    const blocker = new Blocker();
    const finish = new Gate<string>();
    const make = this.#pinned ? PinnedStub : Stub;
    const stub = new make({
      hello: () => text("Hello"),
      block: blocker.act,
      async speak(exchange) {
        exchange.notify(logMessage(1));
        exchange.notify(logMessage(2));
        const said = await finish.promise;
        exchange.notify(logMessage(3));
        return text(said);
      },
      ask: async (exchange) => text(JSON.stringify(await exchange.ask("roots/list", {}))),
      ...this.#tools,
    }, {
      "resources/subscribe": async ({ session, params }) => {
        await session?.subscribe(String(params.uri));
        return {};
      },
    });
    const handler = createMcpHandler(stub, {
      clock: this.clock,
      store: this.store,
      authenticate: byToken,
      onEvent: events.onEvent,
      requests: { stateKeys: [KEY] },
      ...this.#options,
      ...options,
    });
    const node = { stub, events, blocker, finish, handler };
    this.nodes.push(node);
    return node;
  }

  /** Lets time pass, a second at a stretch at most, and all that follows from it happen. */
  async advance(ms: number): Promise<void> {
    await settle();
    for (let left = ms; left >= 0; left -= 1_000) {
      await this.clock.advance(Math.min(left, 1_000));
      await settle();
    }
  }

  /** Closes some handlers, without any time for what still runs; all unless told otherwise. */
  async close(nodes: readonly TestNode[] = this.nodes): Promise<void> {
    const closed = Promise.all(nodes.map(({ handler }) => handler.close({ graceMs: 0 })));
    // What stalls is left to itself after half a second.
    await this.advance(0);
    for (let i = 0; i < 10; i++) await this.advance(100);
    await closed;
  }
}

/** Alice's client of one handler, and itself at another. */
export async function alice(
  a: TestNode,
  b: TestNode,
  options: PeerOptions & { readonly ready?: boolean } = {},
): Promise<{ readonly here: Peer; readonly there: Peer }> {
  const here = await initialize(a.handler, {
    headers: as("alice"),
    capabilities: { roots: {} },
    ...options,
  });
  return { here, there: here.with({ fetch: b.handler }) };
}
