/**
 * Several Redis servers for tests: a Redis Cluster, or a primary with a replica and Sentinel; and
 * clients for them that note what they send.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { Cluster, Redis } from "ioredis";
import { createClient, createCluster, createSentinel } from "redis";
import type {
  IoRedisClusterClient,
  IoRedisSubscriber,
  NodeRedisClusterClient,
  NodeRedisSubscriber,
  RedisClient,
} from "../../src/redis/mod.ts";
import { flush } from "./clock.ts";
import { freePort, hasBinary, isSignOfLife, OwnServer, type TestClient } from "./redis.ts";

/** Programs that speak Redis's protocol, each with why its tests are skipped, if they are. */
export const BINARIES: readonly { readonly name: string; readonly skip: string | false }[] = [
  { name: "redis-server", skip: hasBinary ? false : missing("redis-server") },
  { name: "valkey-server", skip: isThere("valkey-server") ? false : missing("valkey-server") },
];

function isThere(binary: string): boolean {
  return spawnSync(binary, ["--version"]).status === 0;
}

function missing(binary: string): string {
  return `TESTS SKIPPED: there is no ${binary} binary`;
}

/** Waits until something is so. */
export async function until(what: () => boolean | Promise<boolean>, of: string): Promise<void> {
  for (let i = 0; i < 1_500; i++) {
    if (await what()) return;
    await sleep(i < 20 ? 1 : 10);
  }
  throw new Error(`It never came to be: ${of}`);
}

/** Some servers that share all slots. */
export class ServerCluster {
  /** Those that have slots, and then their replicas. */
  readonly servers: readonly OwnServer[];

  private constructor(servers: readonly OwnServer[]) {
    this.servers = servers;
  }

  /** Starts servers with slots, and a replica of each of the first ones. */
  static async start(binary: string, primaries = 3, replicas = 0): Promise<ServerCluster> {
    const busPorts = new Map<OwnServer, number>();
    const servers = await Promise.all(
      Array.from({ length: primaries + replicas }, async () => {
        const busPort = await freePort();
        const server = await OwnServer.startAs(
          binary,
          ...["--cluster-enabled", "yes", "--cluster-port", `${busPort}`],
          // A server that stands still for a while must not be taken for dead.
          ...["--cluster-node-timeout", "2000", "--repl-diskless-sync-delay", "0"],
        );
        busPorts.set(server, busPort);
        return server;
      }),
    );
    const cluster = new ServerCluster(servers);
    try {
      const size = Math.ceil(16_384 / primaries);
      for (const [n, server] of servers.entries()) {
        if (n < primaries) {
          const last = Math.min(16_384, (n + 1) * size) - 1;
          await ask(server, "CLUSTER", "ADDSLOTSRANGE", `${n * size}`, `${last}`);
        }
        await ask(server, "CLUSTER", "SET-CONFIG-EPOCH", `${n + 1}`);
        const [first] = servers;
        if (first === undefined || first === server) continue;
        const at = [`${first.port}`, `${busPorts.get(first)}`];
        await ask(server, "CLUSTER", "MEET", "127.0.0.1", ...at);
      }
      const knows = async (server: OwnServer) =>
        String(await ask(server, "CLUSTER", "INFO")).includes(
          `cluster_known_nodes:${servers.length}\r`,
        );
      for (const server of servers) await until(() => knows(server), "all servers meet");
      for (const [n, server] of servers.slice(primaries).entries()) {
        const primary = servers[n];
        if (primary === undefined) continue;
        const id = String(await ask(primary, "CLUSTER", "MYID"));
        const replicates = async () =>
          await ask(server, "CLUSTER", "REPLICATE", id).then(() => true, () => false);
        await until(replicates, "the replica knows its primary");
        await until(
          async () => String(await ask(server, "INFO", "replication")).includes("link_status:up"),
          "the replica has its data",
        );
      }
      const up = async (server: OwnServer) =>
        String(await ask(server, "CLUSTER", "INFO")).includes("cluster_state:ok");
      for (const server of servers) await until(() => up(server), "the cluster is up");
      return cluster;
    } catch (error) {
      await cluster.close();
      throw error;
    }
  }

  /** Where the servers are. */
  get urls(): readonly string[] {
    return this.servers.map(({ url }) => url);
  }

  /** Ends all. */
  async close(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.close()));
  }
}

/** Asks one server. */
export async function ask(server: OwnServer, ...args: string[]): Promise<unknown> {
  const client = createClient({ url: server.url, socket: { reconnectStrategy: false } });
  client.on("error", () => {});
  await client.connect();
  try {
    return await client.sendCommand(args);
  } finally {
    client.destroy();
  }
}

/** The channel by which a test waits until all that was published has arrived. */
const MARKER = "test:marker";

/** The clients of a Redis Cluster. */
export const CLUSTER_CLIENTS: readonly {
  readonly name: string;
  connect(cluster: ServerCluster): Promise<TestClient<RedisClient>>;
}[] = [
  { name: "createCluster", connect: connectNodeCluster },
  { name: "ioredis Cluster", connect: connectIoCluster },
];

async function connectNodeCluster({ urls }: ServerCluster): Promise<TestClient<RedisClient>> {
  const cluster = createCluster({
    rootNodes: urls.map((url) => ({ url })),
    defaults: { socket: { reconnectStrategy: () => 50, connectTimeout: 1_000 } },
  });
  cluster.on("error", () => {});
  cluster.setMaxListeners(0);
  await cluster.connect();
  const sent: (readonly string[])[] = [];
  const open = new Set<NodeRedisSubscriber>();
  const client: NodeRedisClusterClient = {
    get isReady() {
      return cluster.isReady;
    },
    on: (event, listener) => cluster.on(event, listener),
    sendCommand(key, readonly, args, options) {
      if (!isSignOfLife(args)) sent.push(args);
      return cluster.sendCommand(key, readonly, args, options);
    },
    get masters() {
      return cluster.masters.map(({ client }) => ({
        client: client && {
          isReady: client.isReady,
          duplicate() {
            const duplicate = client.duplicate();
            open.add(duplicate);
            duplicate.on("end", () => open.delete(duplicate));
            return duplicate;
          },
        },
      }));
    },
  };
  const listening = new WeakMap<object, Marks>();
  return {
    client,
    sent,
    duplicates: open,
    send: (...args) =>
      cluster.sendCommand(args[0]?.startsWith("EVAL") ? args[3] : args[1], false, args),
    async settle() {
      await settleCluster({
        flushed: () => Promise.all(cluster.masters.map(({ client }) => client?.ping())),
        publish: (text) =>
          Promise.all(cluster.masters.map(({ client }) => client?.publish(MARKER, text))),
        open,
        async marks(duplicate) {
          let marks = listening.get(duplicate);
          if (marks === undefined) listening.set(duplicate, marks = new Marks());
          const { take } = marks;
          await duplicate.subscribe([MARKER], take);
          return marks;
        },
      });
    },
    closeDuplicates() {
      for (const each of open) each.destroy();
    },
    async close() {
      for (const each of open) each.destroy();
      cluster.destroy();
    },
  };
}

async function connectIoCluster({ servers }: ServerCluster): Promise<TestClient<RedisClient>> {
  const cluster = new Cluster(servers.map(({ port }) => ({ host: "127.0.0.1", port })), {
    lazyConnect: true,
    clusterRetryStrategy: () => 50,
  });
  cluster.on("error", () => {});
  cluster.setMaxListeners(0);
  await cluster.connect();
  const sent: (readonly string[])[] = [];
  const open = new Set<IoRedisSubscriber>();
  const client: IoRedisClusterClient = {
    get status() {
      return cluster.status;
    },
    options: {},
    on: (event, listener) => cluster.on(event, listener),
    connect: () => cluster.connect(),
    call(command, args) {
      if (!isSignOfLife(args)) sent.push([command, ...args]);
      return cluster.call(command, args);
    },
    nodes: (role) =>
      cluster.nodes(role).map((node) => ({
        status: node.status,
        duplicate() {
          const duplicate = node.duplicate();
          open.add(duplicate);
          duplicate.on("end", () => open.delete(duplicate));
          return duplicate;
        },
      })),
  };
  const listening = new WeakMap<object, Marks>();
  return {
    client,
    sent,
    duplicates: open,
    send: (command = "", ...args) => cluster.call(command, args),
    async settle() {
      await settleCluster({
        flushed: () => Promise.all(cluster.nodes("master").map((node) => node.ping())),
        publish: (text) =>
          Promise.all(cluster.nodes("master").map((node) => node.publish(MARKER, text))),
        open,
        async marks(duplicate) {
          let marks = listening.get(duplicate);
          if (marks === undefined) {
            const { take } = marks = new Marks();
            listening.set(duplicate, marks);
            duplicate.on("message", (channel, text) => {
              if (channel === MARKER) take(String(text));
            });
          }
          await duplicate.subscribe(MARKER);
          return marks;
        },
      });
    },
    closeDuplicates() {
      for (const each of open) each.disconnect();
    },
    async close() {
      for (const each of open) each.disconnect();
      cluster.disconnect();
    },
  };
}

/** Counts the marks that arrive. */
class Marks {
  readonly #counts = new Map<string, number>();
  readonly take = (text: string) => {
    this.#counts.set(text, this.count(text) + 1);
  };

  count(text: string): number {
    return this.#counts.get(text) ?? 0;
  }
}

let marked = 0;

/** Lets everything arrive that was sent or published until now, and what follows from it. */
async function settleCluster<Duplicate>({ flushed, publish, open, marks }: {
  flushed(): Promise<unknown>;
  publish(text: string): Promise<readonly unknown[]>;
  readonly open: ReadonlySet<Duplicate>;
  marks(duplicate: Duplicate): Promise<Marks>;
}): Promise<void> {
  for (let i = 0; i < (open.size > 0 ? 4 : 2); i++) {
    await flush();
    await flushed();
    // From each server, as each has a way of its own to the subscriber.
    const listening = await Promise.allSettled(
      [...open].map(async (duplicate) => ({ duplicate, marks: await marks(duplicate) })),
    );
    const text = `${++marked}`;
    const { length } = await publish(text);
    for (const each of listening) {
      if (each.status === "rejected") continue;
      const { duplicate, marks } = each.value;
      const arrived = () => marks.count(text) >= length || !open.has(duplicate);
      await until(arrived, "a mark arrives");
    }
  }
  await flush();
}

/** A primary server, its replica, and the Sentinel that watches them. */
export class WatchedServers {
  readonly primary: OwnServer;
  readonly replica: OwnServer;
  readonly sentinel: OwnServer;

  private constructor(primary: OwnServer, replica: OwnServer, sentinel: OwnServer) {
    this.primary = primary;
    this.replica = replica;
    this.sentinel = sentinel;
  }

  /** Starts all three. */
  static async start(binary: string): Promise<WatchedServers> {
    const primary = await OwnServer.startAs(binary, "--repl-diskless-sync-delay", "0");
    const replica = await OwnServer.startAs(
      binary,
      ...["--replicaof", "127.0.0.1", `${primary.port}`],
    );
    const sentinel = await OwnServer.startAs(binary, "--sentinel");
    const servers = new WatchedServers(primary, replica, sentinel);
    try {
      await until(
        async () => String(await ask(replica, "INFO", "replication")).includes("link_status:up"),
        "the replica has its data",
      );
      await ask(sentinel, "SENTINEL", "MONITOR", "main", "127.0.0.1", `${primary.port}`, "1");
      await ask(sentinel, "SENTINEL", "SET", "main", "down-after-milliseconds", "1000");
      await ask(sentinel, "SENTINEL", "SET", "main", "failover-timeout", "4000");
      await until(
        async () => {
          const replicas = await ask(sentinel, "SENTINEL", "REPLICAS", "main");
          return Array.isArray(replicas) && replicas.length === 1;
        },
        "Sentinel knows the replica",
      );
      return servers;
    } catch (error) {
      await servers.close();
      throw error;
    }
  }

  /** Ends all. */
  async close(): Promise<void> {
    await Promise.all([this.primary, this.replica, this.sentinel].map((each) => each.close()));
  }
}

/** A client that asks Sentinel, and how to close it. */
export interface SentinelClient {
  readonly client: RedisClient;
  close(): Promise<void>;
}

/** The clients that ask Sentinel. */
export const SENTINEL_CLIENTS: readonly {
  readonly name: string;
  connect(servers: WatchedServers): Promise<SentinelClient>;
}[] = [
  {
    name: "createSentinel",
    async connect({ sentinel }) {
      const client = createSentinel({
        name: "main",
        sentinelRootNodes: [{ host: "127.0.0.1", port: sentinel.port }],
        nodeClientOptions: { socket: { reconnectStrategy: () => 50, connectTimeout: 1_000 } },
      });
      client.on("error", () => {});
      client.setMaxListeners(0);
      await client.connect();
      return { client, close: async () => void await client.destroy() };
    },
  },
  {
    name: "ioredis with sentinels",
    async connect({ sentinel }) {
      const client = new Redis({
        sentinels: [{ host: "127.0.0.1", port: sentinel.port }],
        name: "main",
        lazyConnect: true,
        retryStrategy: () => 50,
        sentinelRetryStrategy: () => 50,
      });
      client.on("error", () => {});
      client.setMaxListeners(0);
      await client.connect();
      return {
        client,
        async close() {
          client.disconnect();
        },
      };
    },
  },
];
