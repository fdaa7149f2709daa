/**
 * Adapts the clients of a Redis Cluster, of the packages `redis` and `ioredis`.
 *
 * A command goes to the server of its key. Subscriptions need one server only, as a message that one
 * server publishes reaches the subscribers of all: so a process has one connection for them, to any
 * server, and takes another one when it breaks.
 *
 * @module
 */
import { systemClock } from "../../internal/clock.ts";
import {
  connectLazy,
  type IoRedisSubscriber,
  type NodeRedisSubscriber,
  type RedisConnection,
  refuseKeyPrefix,
  type SubscriberConnection,
} from "./connection.ts";

/** The delay before the next server is tried, in milliseconds. */
const RETRY_MS = 250;

/** A client of the package `redis` that `createCluster` has made. */
export interface NodeRedisClusterClient {
  /** Adds a listener for an event of the client. */
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  /** Whether the client is connected, so that commands are sent at once. */
  readonly isReady: boolean;
  /** Sends a command to the server of a key. */
  sendCommand(
    firstKey: string | undefined,
    isReadonly: boolean | undefined,
    args: string[],
    options?: { readonly abortSignal?: AbortSignal },
  ): Promise<unknown>;
  /** The servers that have slots. */
  readonly masters: readonly {
    /** The client of one server, once it was needed. */
    readonly client?: {
      /** Whether the client is connected. */
      readonly isReady: boolean;
      /** Creates a client with the same settings, for subscriptions. */
      duplicate(): NodeRedisSubscriber;
    } | undefined;
  }[];
}

/** A `Cluster` of the package `ioredis`, as far as it is used here. */
export interface IoRedisClusterClient {
  /** Adds a listener for an event of the client. */
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  /** The state of the connection; `"ready"` when commands are sent at once. */
  readonly status: string;
  /** The client's options. `keyPrefix` must not be set. */
  readonly options: {
    readonly keyPrefix?: string | undefined;
    readonly redisOptions?: { readonly keyPrefix?: string | undefined } | undefined;
  };
  /** Connects. */
  connect(): Promise<unknown>;
  /** Sends a command to the server of its key. */
  call(command: string, args: string[]): Promise<unknown>;
  /** Lists the clients of the servers with a role. */
  nodes(role: "master"): readonly {
    /** The state of the connection. */
    readonly status: string;
    /** Creates a client with the same settings, for subscriptions. */
    duplicate(): IoRedisSubscriber;
  }[];
}

/** Adapts a cluster's client of `redis`. */
export function nodeRedisCluster(client: NodeRedisClusterClient): RedisConnection {
  return {
    get ready() {
      return client.isReady;
    },
    cluster: true,
    keepsCommands: true,
    send: (args, abortSignal) => client.sendCommand(keyOf(args), false, [...args], { abortSignal }),
    onReady: (listener) => void client.on("connect", listener),
    subscriber: (onMessage) =>
      anyServer((turn, onReady, onLost) => {
        const ready = client.masters.flatMap(({ client }) => client?.isReady ? [client] : []);
        const one = ready[turn % ready.length]?.duplicate();
        if (one === undefined) throw new Error("No server of the cluster is connected");
        const listener = (text: string, channel: string) => onMessage(channel, text);
        one.on("error", onLost);
        one.on("ready", onReady);
        return {
          connected: one.connect(),
          subscribe: (channels) => one.subscribe(channels, listener),
          unsubscribe: (channels) => one.unsubscribe(channels, listener),
          close: () => one.destroy(),
        };
      }),
  };
}

/** Adapts a cluster's client of `ioredis`. */
export function ioRedisCluster(client: IoRedisClusterClient): RedisConnection {
  refuseKeyPrefix(client.options?.keyPrefix ?? client.options?.redisOptions?.keyPrefix);
  connectLazy(client);
  return {
    get ready() {
      return client.status === "ready";
    },
    cluster: true,
    send: ([command = "", ...args]) => client.call(command, args),
    onReady: (listener) => void client.on("ready", listener),
    subscriber: (onMessage) =>
      anyServer((turn, onReady, onLost) => {
        const open = client.nodes("master").filter(({ status }) => OPEN.has(status));
        const one = open[turn % open.length]?.duplicate();
        if (one === undefined) throw new Error("No server of the cluster is connected");
        one.on("error", ignore);
        one.on("close", onLost);
        one.on("ready", onReady);
        one.on("message", (channel, text) => onMessage(String(channel), String(text)));
        return {
          connected: one.status === "wait" ? one.connect() : Promise.resolve(),
          subscribe: (channels) => one.subscribe(...channels),
          unsubscribe: (channels) => one.unsubscribe(...channels),
          close: () => one.disconnect(),
        };
      }),
  };
}

/** The states of an ioredis client whose server may be there; `wait`: not needed yet. */
const OPEN: ReadonlySet<string> = new Set(["wait", "connecting", "connect", "ready"]);

/** Returns the key of a command, or the channel that stands for it. */
function keyOf([command, first, , key]: readonly string[]): string | undefined {
  return command === "EVALSHA" || command === "EVAL" ? key : first;
}

/** A connection to one server, for subscriptions. */
interface ServerConnection extends Omit<SubscriberConnection, "onReady"> {
  /** Settles when the server is connected. */
  readonly connected: Promise<unknown>;
}

/**
 * Keeps a connection to any server of a cluster, and takes the next one when it breaks.
 *
 * @param connect Connects to a server, and throws if there is none
 */
function anyServer(
  connect: (turn: number, onReady: () => void, onLost: () => void) => ServerConnection,
): SubscriberConnection {
  const listeners: (() => void)[] = [];
  let turn = Math.floor(Math.random() * 1_024);
  let closed = false;
  let server: ServerConnection | undefined;
  const open = () => {
    if (closed) return;
    let over = false;
    const lost = () => {
      if (over) return;
      over = true;
      close(opened);
      if (opened === server) server = undefined;
      systemClock.timer(RETRY_MS, open);
    };
    let opened: ServerConnection | undefined;
    try {
      opened = server = connect(turn++, () => listeners.forEach((call) => call()), lost);
      opened.connected.catch(lost);
    } catch {
      lost();
    }
  };
  open();
  /** Waits for the connection. A subscription that fails is tried again by the caller. */
  const use = async (run: (server: ServerConnection) => Promise<unknown>) => {
    const current = server;
    if (current === undefined) throw new Error("No server of the cluster is connected");
    await current.connected;
    return await run(current);
  };
  return {
    subscribe: (channels) => use((server) => server.subscribe(channels)),
    unsubscribe: (channels) => use((server) => server.unsubscribe(channels)),
    onReady: (listener) => void listeners.push(listener),
    close() {
      closed = true;
      const last = server;
      server = undefined;
      // Closing a client while it connects could leave its socket open.
      last?.connected.then(() => close(last), ignore);
    },
  };
}

function close(server: ServerConnection | undefined): void {
  try {
    server?.close();
  } catch {
    // It is closed already.
  }
}

function ignore(): void {}
