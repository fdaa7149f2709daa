/**
 * Nodes of a simulated cluster: a handler with `redisStore`, a clock and a Redis client of its own, and a
 * sign-in if users sign in.
 *
 * @module
 */
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler } from "../../src/handler/types.ts";
import type { Accounts } from "../../src/accounts/mod.ts";
import type { Gateway } from "../../src/gateway/mod.ts";
import { redisStore } from "../../src/redis/mod.ts";
import type { McpServer } from "../../src/server/server.ts";
import { storeIn } from "../../src/sql/sqlite_store.ts";
import type { SignIn } from "../../src/signin/mod.ts";
import { byToken } from "../support/wire.ts";
import type { SimulatedClient, SimulatedNetwork } from "./redis/client.ts";
import type { Environment, Random } from "./environment.ts";
import type { Plan } from "./plan.ts";
import { SimulatedProcess } from "./process.ts";
import { signInOf } from "./provider.ts";
import { accountsOf, type SimulatedService } from "./service.ts";
import type { Disk } from "./sqlite.ts";
import { type Run, toolServer } from "./tools.ts";
import { gatewayOf, type SimulatedUpstream } from "./upstream.ts";
import type { SimulatedWeb } from "./web.ts";

const KEY = "a secret that is long enough for all of them";

/** What all nodes share. */
export interface Surroundings {
  readonly environment: Environment;
  readonly network: SimulatedNetwork;
  readonly random: Random;
  readonly plan: Plan;
  readonly runs: Run[];
  /** The disk with the file, if the store is one. */
  readonly disk: Disk | undefined;
  /** What nodes reach over HTTP, and how. */
  readonly web: SimulatedWeb;
  readonly upstreams: readonly SimulatedUpstream[];
  /** The upstream at which users have accounts, if they have. */
  readonly service: SimulatedService | undefined;
  /** Lets a node die, and another one start in its place. */
  replace(node: SimulatedNode): void;
  /** Called when a tool has begun to run. */
  onRun(run: Run): void;
  note(text: string): void;
  fail(what: string): void;
}

/** A node that can die, stand still, and have a wrong clock. */
export class SimulatedNode extends SimulatedProcess {
  readonly handler: McpHandler;
  readonly signIn: SignIn | undefined;
  readonly gateway: Gateway | undefined;
  readonly accounts: Accounts | undefined;
  readonly #around: Surroundings;
  readonly #redis: SimulatedClient;
  readonly #lanes = new Map<object, number>();

  constructor(name: string, around: Surroundings) {
    super(name, around.environment);
    this.#around = around;
    const { network, environment } = around;
    this.#redis = network.client({
      carry: (lane, callback) => this.#carry(lane, callback),
      away: (callback) => void environment.after(this.#outageMs, () => this.run(callback)),
    });
    const { plan } = around;
    const file = around.disk && storeIn(around.disk.open());
    const store = file ?? redisStore({ client: this.#redis });
    this.#closeStore = () => file?.close();
    const clock = this.clock();
    const own = around.service && accountsOf(this, around, { store, clock, key: KEY });
    this.accounts = own?.accounts;
    this.gateway = own?.gateway ?? (plan.gateway && gatewayOf(this, around));
    const server = this.gateway ?? serverOf(plan, toolServer(this, around, clock));
    if (plan.clients.some(({ kind }) => kind === "sign-in")) {
      const pause = (ms: number) => this.sleep(ms, new AbortController().signal);
      this.signIn = signInOf({ store, clock, key: KEY, random: around.random, pause });
    }
    this.handler = createMcpHandler(server, {
      store,
      clock,
      authenticate: byToken,
      requests: { stateKeys: [KEY] },
      limits: plan.share === undefined ? {} : { requestsPerPrincipal: plan.share },
      onEvent: (event) => {
        if (event.type !== "error") return;
        this.troubles.push(environment.now);
        around.note(`${this.name}: ${event.during}: ${event.error}`);
      },
    });
  }

  #outageMs = 100;
  readonly #closeStore: () => void;

  /** Dies: nothing of it happens any more, and its connections break. */
  override kill(): void {
    this.#around.network.remove(this.#redis);
    super.kill();
  }

  /** Closes its handler and its store. */
  async close(): Promise<void> {
    await this.handler.close({ graceMs: 0 });
    await this.gateway?.close();
    this.accounts?.close();
    this.#closeStore();
  }

  /** Loses its connection for commands. */
  drop(ms: number, again: boolean, arrived: boolean): void {
    this.doubtful = true;
    this.#outageMs = ms;
    if (!this.dead) this.#redis.lose(again, arrived);
  }

  /** Loses its connections for subscriptions. */
  deafen(ms: number): void {
    this.#outageMs = ms;
    if (!this.dead) { for (const each of [...this.#redis.subscribers]) each.lose(); }
  }

  /** Sends a request on its way, and returns the response once it has come. */
  async fetch(request: Request): Promise<Response> {
    const { environment, random, plan: { delayMs } } = this.#around;
    await environment.sleep(random.int(1, delayMs));
    return await this.alive(
      new Promise((resolve, reject) =>
        this.run(() => void this.#answer(request).then(resolve, reject))
      ),
    );
  }

  async #answer(request: Request): Promise<Response> {
    return await this.accounts?.routes(request) ?? await this.signIn?.routes(request) ??
      await this.handler(request);
  }

  #carry(lane: object, callback: () => void): void {
    const { environment, random, plan: { delayMs } } = this.#around;
    const { now } = environment;
    const at = Math.max(now + random.int(0, delayMs), this.#lanes.get(lane) ?? 0);
    this.#lanes.set(lane, at);
    // What has left the node arrives whatever becomes of the node.
    const leaves = lane !== this.#redis && !this.#redis.subscribers.has(lane as never);
    environment.after(at - now, () => leaves ? callback() : this.run(callback));
  }
}

/** Makes each session of a server live at one node, if the plan says so. */
function serverOf({ pinned }: Plan, server: McpServer): McpServer {
  if (pinned !== true) return server;
  return new Proxy(server, {
    get(target, name) {
      if (name === "pinned") return true;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
