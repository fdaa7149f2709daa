/**
 * Nodes of a simulated cluster: a handler with `redisStore`, a clock and a Redis client of its own, and a
 * sign-in if users sign in.
 *
 * @module
 */
import { z } from "zod";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler } from "../../src/handler/types.ts";
import type { Clock } from "../../src/internal/clock.ts";
import { redisStore } from "../../src/redis/mod.ts";
import { McpServer } from "../../src/server/server.ts";
import type { ToolHandler } from "../../src/server/types.ts";
import { storeIn } from "../../src/sql/sqlite_store.ts";
import type { SignIn } from "../../src/signin/mod.ts";
import { tasks } from "../../src/tasks/mod.ts";
import { byToken } from "../support/wire.ts";
import type { SimulatedClient, SimulatedNetwork } from "./redis/client.ts";
import type { Environment, Random } from "./environment.ts";
import type { Plan } from "./plan.ts";
import { signInOf } from "./provider.ts";
import type { Disk } from "./sqlite.ts";

const KEY = "a secret that is long enough for all of them";

/** A run of a tool. */
export interface Run {
  readonly call: string;
  readonly node: SimulatedNode;
  readonly begun: number;
  /** Whether it has done what it does once. */
  effect: boolean;
  ended: number | undefined;
}

/** What all nodes share. */
export interface Surroundings {
  readonly environment: Environment;
  readonly network: SimulatedNetwork;
  readonly random: Random;
  readonly plan: Plan;
  readonly runs: Run[];
  /** The disk with the file, if the store is one. */
  readonly disk: Disk | undefined;
  /** Called when a tool has begun to run. */
  onRun(run: Run): void;
  note(text: string): void;
}

/** The error of a node that is dead. */
export class NodeDied extends Error {}

/** A node that can die, stand still, and have a wrong clock. */
export class SimulatedNode {
  readonly name: string;
  readonly handler: McpHandler;
  /** The times at which it reported that the store had failed. */
  readonly troubles: number[] = [];
  readonly signIn: SignIn | undefined;
  readonly #around: Surroundings;
  readonly #redis: SimulatedClient;
  readonly #lanes = new Map<object, number>();
  readonly #death = new Set<() => void>();
  #waiting: (() => void)[] = [];
  #stalled = 0;
  #offset = 0;
  #timers = 0;
  dead = false;
  /** When it died. */
  diedAt = Infinity;
  /** Whether others may have taken it for lost: it died, stood still, or was without the store. */
  doubtful = false;

  constructor(name: string, around: Surroundings) {
    this.name = name;
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
    const clock = this.#clock();
    const server = this.#server(clock);
    if (plan.clients.some(({ kind }) => kind === "sign-in")) {
      const pause = (ms: number) => this.#sleep(ms, new AbortController().signal);
      this.signIn = signInOf({ store, clock, key: KEY, random: around.random, pause });
    }
    this.handler = createMcpHandler(plan.pinned ? pinned(server) : server, {
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

  /** How many of its timers wait. */
  get timers(): number {
    return this.#timers;
  }

  /** Whether it does what it should at present. */
  get up(): boolean {
    return !this.dead && this.#stalled === 0;
  }

  /** Runs something of this node: later if it stands still, never once it is dead. */
  run(callback: () => void): void {
    if (this.dead) return;
    if (this.#stalled > 0) this.#waiting.push(callback);
    else callback();
  }

  /** Dies: nothing of it happens any more, and its connections break. */
  kill(): void {
    this.dead = this.doubtful = true;
    this.diedAt = this.#around.environment.now;
    this.#waiting = [];
    this.#around.network.remove(this.#redis);
    for (const died of [...this.#death]) died();
  }

  /** Closes its handler and its store. */
  async close(): Promise<void> {
    await this.handler.close({ graceMs: 0 });
    this.#closeStore();
  }

  /** Stands still for a time. */
  stall(ms: number): void {
    this.doubtful = true;
    this.#stalled += 1;
    this.#around.environment.after(ms, () => {
      this.#stalled -= 1;
      while (this.#stalled === 0 && this.#waiting.length > 0) this.#waiting.shift()?.();
    });
  }

  /** Sets its clock beside the true time. */
  jump(ms: number): void {
    this.#offset = ms;
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

  /** Waits for something of this node, and fails when it dies. */
  async alive<T>(promise: Promise<T>): Promise<T> {
    if (this.dead) throw new NodeDied(this.name);
    return await new Promise<T>((resolve, reject) => {
      const died = () => reject(new NodeDied(this.name));
      this.#death.add(died);
      promise.finally(() => this.#death.delete(died)).then(resolve, reject);
    });
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
    return await this.signIn?.routes(request) ?? await this.handler(request);
  }

  #clock(): Clock {
    const { environment } = this.#around;
    return {
      now: () => Math.floor(environment.now + this.#offset),
      precise: () => environment.now,
      timer: (ms, callback) => {
        this.#timers += 1;
        let waits = true;
        const over = () => {
          if (!waits) return false;
          waits = false;
          this.#timers -= 1;
          return true;
        };
        const stop = environment.after(ms, () => this.run(() => over() && callback()));
        return () => {
          if (over()) stop();
        };
      },
    };
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

  #sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const stop = this.#around.environment.after(ms, () =>
        this.run(() => {
          signal.removeEventListener("abort", abort);
          resolve();
        }));
      const abort = () => {
        stop();
        reject(signal.reason);
      };
      signal.addEventListener("abort", abort, { once: true });
    });
  }

  #server(clock: Clock): McpServer {
    const server = new McpServer({ name: "simulation", version: "1.0.0" });
    const call = z.string();
    const inputSchema = z.object({
      ...{ call, steps: z.number(), stepMs: z.number(), ask: z.boolean() },
    });
    const work: ToolHandler<typeof inputSchema> = async ({ call, steps, stepMs, ask }, ctx) => {
      const { runs, environment, note } = this.#around;
      // What a dead process would have done has not happened.
      if (this.dead) await new Promise(() => {});
      const run: Run = {
        ...{ call, node: this, begun: environment.now, effect: false, ended: undefined },
      };
      runs.push(run);
      note(`${this.name} runs ${call}`);
      this.#around.onRun(run);
      try {
        let answer = "";
        if (ask) {
          const schema = z.object({ word: z.string() });
          const given = await ctx.elicit("word", { message: call, schema });
          answer = String(given.content?.word);
        }
        run.effect = true;
        for (let step = 1; step <= steps; step++) {
          ctx.progress(step);
          await this.#sleep(stepMs, ctx.signal);
        }
        return `${call} ${answer}`;
      } finally {
        run.ended = environment.now;
        note(`${this.name} ends ${call}`);
      }
    };
    server.registerTool("work", { inputSchema }, work);
    const annotations = { idempotentHint: true };
    server.registerTool("again", { inputSchema, annotations, retryOnNodeLoss: true }, work);
    server.registerTool("approved", { inputSchema, approval: true }, work);
    if (this.#around.plan.clients.some(({ kind }) => kind === "tasks")) {
      server.use(tasks({ clock }));
      const task = "required";
      server.registerTool("job", { inputSchema, task }, work);
      server.registerTool(
        "job_again",
        { inputSchema, annotations, retryOnNodeLoss: true, task },
        work,
      );
    }
    const value = z.object({ value: call });
    server.registerTool("set", { inputSchema: value }, async ({ value }, { session }) => {
      await session?.state.set("value", value);
      return value;
    });
    server.registerTool("get", {}, async (_, { session }) => {
      return String(await session?.state.get("value"));
    });
    return server;
  }
}

/** Makes each session of a server live at one node. */
function pinned(server: McpServer): McpServer {
  return new Proxy(server, {
    get(target, name) {
      if (name === "pinned") return true;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
