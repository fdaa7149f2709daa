/**
 * Adapts the client of the package `redis` that asks Sentinel where the primary server is. The
 * package `ioredis` has no client of its own for that.
 *
 * @module
 */
import { systemClock } from "../../internal/clock.ts";
import type { RedisConnection, SubscriberConnection } from "./connection.ts";

/** The delay after an error before subscriptions are repeated, in milliseconds. */
const REPEAT_MS = 250;

/** A client of the package `redis` that `createSentinel` has made. */
export interface NodeRedisSentinelClient {
  /** Adds a listener for an event of the client. */
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  /** Whether the client is connected, so that commands are sent at once. */
  readonly isReady: boolean;
  /** Takes one of the client's connections to the primary server, for a while. */
  acquire(): Promise<NodeRedisLease>;
  /** Creates a client with the same settings, for subscriptions. */
  duplicate(): NodeRedisSentinelSubscriber;
}

/** A connection that a {@linkcode NodeRedisSentinelClient} has lent. */
export interface NodeRedisLease {
  /** Sends a command. */
  sendCommand(
    isReadonly: boolean | undefined,
    args: string[],
    options?: { readonly abortSignal?: AbortSignal },
  ): Promise<unknown>;
  /** Gives the connection back. */
  release(): unknown;
}

/** A duplicate of a {@linkcode NodeRedisSentinelClient}, for subscriptions. */
export interface NodeRedisSentinelSubscriber {
  /** Whether the client is connected. */
  readonly isReady: boolean;
  /** Adds a listener for an event of the client. */
  on(event: string, listener: (...args: unknown[]) => void): unknown;
  /** Connects. */
  connect(): Promise<unknown>;
  /** Subscribes to channels. */
  subscribe(
    channels: string[],
    listener: (message: unknown, channel: unknown) => void,
  ): Promise<unknown>;
  /** Ends a listener's subscriptions to channels. */
  unsubscribe(
    channels: string[],
    listener: (message: unknown, channel: unknown) => void,
  ): Promise<unknown>;
  /** Disconnects for good. */
  destroy(): unknown;
}

/** Adapts a client that asks Sentinel. */
export function nodeRedisSentinel(client: NodeRedisSentinelClient): RedisConnection {
  // The client lends a connection to whatever begins while it has none in use, and lets what begins
  // at the same time wait until that one is idle. So all commands in flight share one loan.
  let lease: Promise<NodeRedisLease> | undefined;
  let inFlight = 0;
  return {
    get ready() {
      return client.isReady;
    },
    keepsCommands: true,
    async send(args, abortSignal) {
      const mine = lease ??= client.acquire();
      inFlight += 1;
      try {
        return await (await mine).sendCommand(false, [...args], { abortSignal });
      } finally {
        inFlight -= 1;
        if (inFlight === 0) {
          lease = undefined;
          mine.then((lent) => lent.release(), ignore);
        }
      }
    },
    onReady: (listener) => void client.on("ready", listener),
    subscriber: (onMessage) => subscriber(client, onMessage),
  };
}

function subscriber(
  client: NodeRedisSentinelClient,
  onMessage: (channel: string, text: string) => void,
): SubscriberConnection {
  const duplicate = client.duplicate();
  const listener = (text: unknown, channel: unknown) => onMessage(String(channel), String(text));
  let closed = false;
  let opening: Promise<unknown> | undefined;
  let stopRepeat: (() => void) | undefined;
  /** Connects, again after an attempt that failed. */
  const open = () =>
    duplicate.isReady
      ? Promise.resolve()
      : opening ??= duplicate.connect().finally(() => opening = undefined);
  duplicate.on("error", ignore);
  open().catch(ignore);
  return {
    async subscribe(channels) {
      await open();
      return await duplicate.subscribe(channels, listener);
    },
    async unsubscribe(channels) {
      await open();
      return await duplicate.unsubscribe(channels, listener);
    },
    onReady(ready) {
      duplicate.on("ready", ready);
      // The client also subscribes again without a sign: when its connection broke, and its server
      // stayed the primary.
      duplicate.on("error", () => {
        stopRepeat ??= systemClock.timer(REPEAT_MS, () => {
          stopRepeat = undefined;
          if (!closed && duplicate.isReady) ready();
        });
      });
    },
    close() {
      closed = true;
      stopRepeat?.();
      const end = async () => void await duplicate.destroy();
      (opening ?? Promise.resolve()).then(end, ignore).catch(ignore);
    },
  };
}

function ignore(): void {}
