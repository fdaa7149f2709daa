/**
 * Redis for tests: the one at `REDIS_URL` or at 127.0.0.1:6379, or a server of the test's own; and clients
 * of both kinds that count what they send.
 *
 * @module
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { Redis } from "ioredis";
import { createClient } from "redis";
import { randomText } from "../../src/internal/random.ts";
import type { IoRedisClient, NodeRedisClient, RedisClient } from "../../src/redis/mod.ts";
import { flush } from "./clock.ts";

/** A server that tests can use. */
export interface Server {
  readonly url: string;
  stop(): Promise<void>;
}

/** Whether there is a `redis-server` to start. */
export const hasBinary = spawnSync("redis-server", ["--version"]).status === 0;

/** Why tests that need a server of their own are skipped, if they are. */
export const noBinary: string | false = hasBinary
  ? false
  : "REDIS TESTS SKIPPED: there is no redis-server binary";

const shared = await findServer();

/** Why tests that need any Redis are skipped, if they are. */
export const noRedis: string | false = shared !== undefined
  ? false
  : noBinary || "REDIS TESTS SKIPPED: set REDIS_URL";

if (noRedis !== false) console.error(noRedis);

/** Where a Redis answers already. */
async function findServer(): Promise<string | undefined> {
  const url = process.env.REDIS_URL ?? "redis://127.0.0.1:6379";
  const { hostname, port } = new URL(url);
  if (await answers(hostname, Number(port || 6379))) return url;
  return hasBinary ? "" : undefined;
}

function answers(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const finish = (yes: boolean) => {
      socket.destroy();
      resolve(yes);
    };
    socket.setTimeout(1_000, () => finish(false));
    socket.on("error", () => finish(false));
    socket.on("connect", () => finish(true));
  });
}

/** The server that all tests of a file share; started where there is none yet. */
export async function useServer(): Promise<Server> {
  if (shared) return { url: shared, async stop() {} };
  const own = await OwnServer.start();
  return { url: own.url, stop: () => own.close() };
}

/** The ports that {@linkcode freePort} chooses from: systems choose others for connections and for port 0. */
const PORTS = { first: 20_000, count: 12_000 } as const;

/** A port that nobody listens to, and that no connection gets before the test listens to it. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count);
    const isFree = await new Promise<boolean>((resolve) => {
      const server = createServer().once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
  throw new Error("No port is free");
}

/** A server of the test's own, to be stopped, paused and started anew, empty each time. */
export class OwnServer implements Server {
  readonly #port: number;
  readonly #folder: string;
  readonly #args: readonly string[];
  readonly #binary: string;
  #child: ChildProcess | undefined;

  private constructor(port: number, folder: string, args: readonly string[], binary: string) {
    this.#port = port;
    this.#folder = folder;
    this.#args = args;
    this.#binary = binary;
  }

  /** Starts one. */
  static start(...args: string[]): Promise<OwnServer> {
    return OwnServer.startAs("redis-server", ...args);
  }

  /** Starts one with a program of another name, such as `valkey-server`. */
  static async startAs(binary: string, ...args: string[]): Promise<OwnServer> {
    const folder = await mkdtemp(join(tmpdir(), "redis-"));
    const server = new OwnServer(await freePort(), folder, args, binary);
    await server.begin();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.#port}`;
  }

  /** The port that it listens to. */
  get port(): number {
    return this.#port;
  }

  /** Starts it again. */
  async begin(): Promise<void> {
    const args = ["--port", `${this.#port}`, "--bind", "127.0.0.1", "--dir", this.#folder];
    if (this.#args.includes("--sentinel")) {
      // Sentinel writes down what it learns.
      const file = join(this.#folder, "sentinel.conf");
      await writeFile(file, "");
      args.unshift(file);
    } else {
      args.push("--save", "");
    }
    this.#child = spawn(this.#binary, [...args, ...this.#args], { stdio: "ignore" });
    for (let i = 0; i < 200 && !await answers("127.0.0.1", this.#port); i++) await sleep(25);
  }

  /** Lets it answer nobody, although connections stay. */
  pause(): void {
    this.#signal("SIGSTOP");
  }

  /** Lets it go on. */
  resume(): void {
    this.#signal("SIGCONT");
  }

  /** Ends it at once, with everything in it. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    if (child.exitCode !== null) return;
    await new Promise<void>((resolve) => {
      child.once("exit", () => resolve());
      if (child.pid !== undefined) process.kill(child.pid, "SIGKILL");
    });
  }

  /** Ends it for good. */
  async close(): Promise<void> {
    await this.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }

  #signal(name: "SIGSTOP" | "SIGCONT"): void {
    const pid = this.#child?.pid;
    // Not the child's own kill(): under Deno that takes any signal for the exit.
    if (pid !== undefined) process.kill(pid, name);
  }
}

/** A client under test, and what it has sent. */
export interface TestClient<Client extends RedisClient = NodeRedisClient | IoRedisClient> {
  readonly client: Client;
  /** The commands that went out. */
  readonly sent: (readonly string[])[];
  /** The duplicates that are open. */
  readonly duplicates: ReadonlySet<unknown>;
  /** Sends a command that isn't counted. */
  send(...args: string[]): Promise<unknown>;
  /** Lets everything arrive that was sent or published until now, and what follows from it. */
  settle(): Promise<void>;
  /** Closes what a test has left open: leases that it still holds, watchers. */
  closeDuplicates(): void;
  close(): Promise<void>;
}

/** The kinds of client. */
export const CLIENTS: readonly {
  readonly name: string;
  connect(url: string): Promise<TestClient>;
}[] = [
  { name: "node-redis", connect: connectNodeRedis },
  { name: "ioredis", connect: connectIoRedis },
];

/** A client's duplicate. */
export interface Pinged {
  ping(): Promise<unknown>;
  /** Disconnects for good. */
  disconnect(): unknown;
}

async function connectNodeRedis(url: string): Promise<TestClient> {
  const socket = { reconnectStrategy: () => 50, connectTimeout: 1_000 };
  const client = createClient({ url, socket });
  client.on("error", () => {});
  // Each store of a test listens.
  client.setMaxListeners(0);
  await client.connect();
  const sent: (readonly string[])[] = [];
  const open = new Set<Pinged>();
  return {
    ...testClient(sent, open, (...args) => client.sendCommand(args)),
    client: {
      get isReady() {
        return client.isReady;
      },
      sendCommand(args) {
        if (!isSignOfLife(args)) sent.push(args);
        return client.sendCommand(args);
      },
      duplicate() {
        const duplicate = client.duplicate();
        open.add(duplicate);
        duplicate.on("end", () => open.delete(duplicate));
        return duplicate;
      },
      on: (event, listener) => client.on(event, listener),
    },
    async close() {
      for (const each of open) each.disconnect();
      client.destroy();
    },
  };
}

/** Connects a client of the package `ioredis`. */
export async function connectIoRedis(url: string): Promise<TestClient> {
  const client = new Redis(url, { lazyConnect: true, retryStrategy: () => 50 });
  client.on("error", () => {});
  // Each store of a test listens.
  client.setMaxListeners(0);
  await client.connect();
  const sent: (readonly string[])[] = [];
  const open = new Set<Pinged>();
  return {
    ...testClient(sent, open, (command = "", ...args) => client.call(command, args)),
    client: {
      get status() {
        return client.status;
      },
      options: {},
      connect: () => client.connect(),
      call(command, args) {
        if (!isSignOfLife(args)) sent.push([command, ...args]);
        return client.call(command, args);
      },
      duplicate() {
        const duplicate = client.duplicate();
        open.add(duplicate);
        duplicate.on("end", () => open.delete(duplicate));
        return duplicate;
      },
      on: (event, listener) => client.on(event, listener),
    },
    async close() {
      for (const each of open) each.disconnect();
      client.disconnect();
    },
  };
}

/** Tells whether a command is a node's sign of life: these come by the clock, whatever a test does. */
export function isSignOfLife(args: readonly unknown[]): boolean {
  return args.some((arg) => typeof arg === "string" && arg.includes(' present","proof"'));
}

/** What all clients under test have. */
export function testClient(
  sent: (readonly string[])[],
  open: ReadonlySet<Pinged>,
  send: (...args: string[]) => Promise<unknown>,
) {
  return {
    sent,
    send,
    duplicates: open,
    closeDuplicates() {
      for (const each of open) each.disconnect();
    },
    async settle() {
      // What comes of one answer may be sent, published and heard in turn.
      for (let i = 0; i < (open.size > 0 ? 4 : 2); i++) {
        await flush();
        await send("PING");
        // Behind what was published before.
        await Promise.allSettled([...open].map((each) => each.ping()));
      }
      await flush();
    },
  };
}

/** A prefix that no other test uses. */
export function uniquePrefix(): string {
  return `test:${randomText(16)}`;
}

/** The keys under a prefix that scripts were given and that never expire. */
export async function lastingKeys(
  { sent, send }: TestClient<RedisClient>,
  prefix: string,
): Promise<readonly string[]> {
  const keys = scriptKeys(sent, prefix);
  const left = await Promise.all(keys.map((key) => send("PTTL", key)));
  return keys.filter((_, i) => left[i] === -1);
}

/** Deletes what a test has left, for a server that other tests use too. */
export async function deleteKeys(
  { sent, send }: TestClient<RedisClient>,
  prefix: string,
): Promise<void> {
  await Promise.all(scriptKeys(sent, prefix).map((key) => send("DEL", key)));
}

/** All keys come into being by scripts: `EVALSHA hash count key …`. */
function scriptKeys(sent: readonly (readonly string[])[], prefix: string): string[] {
  const keys = sent.flatMap(([, , count, ...args]) => args.slice(0, Number(count)));
  return [...new Set(keys)].filter((key) => key.startsWith(`${prefix}:`));
}
