/**
 * Simulates clients of the package `redis`, each with two connections that keep the order of what they
 * carry: one for commands, one for subscriptions.
 *
 * @module
 */
import type { NodeRedisClient } from "../../../src/redis/mod.ts";
import type { NodeRedisSubscriber } from "../../../src/redis/clients/connection.ts";
import { type Answer, SimulatedRedis } from "./server.ts";

/** What happens to a connection. */
export interface Wire {
  /** Calls back after the delay of one way, after all calls of the same lane before. */
  carry(lane: object, callback: () => void): void;
  /** Calls back when a connection that was lost is there again; soon when left out. */
  away?(callback: () => void): void;
}

/** The messages that can be sent again. */
const MOST_PUBLISHED = 100;
/** What is added to the number of a message that is sent again. */
const REPLAYED = 1_000_000_000;

type Listener = (...args: unknown[]) => void;

/** A subscription connection. */
class SimulatedSubscriber implements NodeRedisSubscriber {
  readonly channels = new Map<string, Set<(text: string, channel: string) => void>>();
  readonly #client: SimulatedClient;
  readonly #wire: Wire;
  #ready: Listener[] = [];
  isReady = false;
  closed = false;

  constructor(client: SimulatedClient, wire: Wire) {
    this.#client = client;
    this.#wire = wire;
  }

  on(event: string, listener: Listener): void {
    if (event === "ready") this.#ready.push(listener);
  }

  async connect(): Promise<void> {
    await this.#trip();
    this.isReady = true;
    for (const listener of this.#ready) listener();
  }

  subscribe(
    channels: string[],
    listener: (text: string, channel: string) => void,
  ): Promise<unknown> {
    return this.#trip(() => {
      for (const channel of channels) {
        const all = this.channels.get(channel) ?? new Set();
        this.channels.set(channel, all.add(listener));
      }
    });
  }

  unsubscribe(channels: string[], listener: (text: string, channel: string) => void) {
    return this.#trip(() => {
      for (const channel of channels) {
        const all = this.channels.get(channel);
        all?.delete(listener);
        if (all?.size === 0) this.channels.delete(channel);
      }
    });
  }

  destroy(): void {
    this.closed = true;
    this.isReady = false;
    this.#client.subscribers.delete(this);
  }

  /** Loses the connection with all that is on its way, and gets it back. */
  lose(): void {
    if (!this.isReady) return;
    this.isReady = false;
    const before = [...this.channels];
    this.channels.clear();
    this.#client.reconnect(() => {
      if (this.closed) return;
      for (const [channel, all] of before) this.channels.set(channel, all);
      this.isReady = true;
      for (const listener of this.#ready) listener();
    });
  }

  /** Carries a message to the listeners of its channel. */
  deliver(channel: string, text: string): boolean {
    const listeners = this.channels.get(channel);
    if (listeners === undefined) return false;
    this.#wire.carry(this, () => {
      if (!this.closed && this.isReady) listeners.forEach((call) => call(text, channel));
    });
    return true;
  }

  #trip(effect: () => void = () => {}): Promise<void> {
    return new Promise((resolve) => {
      this.#wire.carry(this, () => {
        effect();
        this.#wire.carry(this, () => resolve());
      });
    });
  }
}

interface Sent {
  readonly args: readonly string[];
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** A client, as far as `redisStore` uses it. */
export class SimulatedClient implements NodeRedisClient {
  readonly subscribers = new Set<SimulatedSubscriber>();
  readonly #network: SimulatedNetwork;
  readonly #wire: Wire;
  readonly #ready: Listener[] = [];
  readonly #sent = new Set<Sent>();
  isReady = true;
  #connection = {};

  constructor(network: SimulatedNetwork, wire: Wire) {
    this.#network = network;
    this.#wire = wire;
  }

  on(event: string, listener: Listener): void {
    if (event === "ready") this.#ready.push(listener);
  }

  sendCommand(args: readonly string[]): Promise<Answer> {
    return new Promise((resolve, reject) => this.#send({ args, resolve, reject }));
  }

  duplicate(): NodeRedisSubscriber {
    const subscriber = new SimulatedSubscriber(this, this.#wire);
    this.subscribers.add(subscriber);
    return subscriber;
  }

  /**
   * Loses the connection. What was on its way may have had its effect; a client that sends it again makes
   * it have two.
   *
   * @param again Whether the client sends it again, or fails it
   * @param arrived Whether what is on its way to the server still arrives
   */
  lose(again: boolean, arrived: boolean): void {
    if (!this.isReady) return;
    this.isReady = false;
    const lost = [...this.#sent];
    this.#sent.clear();
    if (!arrived) this.#connection = {};
    const before = this.#connection;
    this.reconnect(() => {
      if (before === this.#connection) this.#connection = {};
      this.isReady = true;
      if (again) lost.forEach((each) => this.#send(each));
      for (const listener of this.#ready) listener();
    });
    if (!again) lost.forEach(({ reject }) => reject(new Error("Socket closed unexpectedly")));
  }

  /** Calls back when the server is reached again. */
  reconnect(callback: () => void): void {
    this.#network.reconnect(this.#wire, callback);
  }

  #send(sent: Sent): void {
    const connection = this.#connection;
    this.#sent.add(sent);
    this.#wire.carry(connection, () => {
      // What was sent before the connection broke may still arrive; its answer doesn't.
      if (connection !== this.#connection) return;
      let settle: () => void;
      try {
        const answer = this.#network.server.run(sent.args);
        settle = () => sent.resolve(answer);
      } catch (error) {
        settle = () => sent.reject(error);
      }
      this.#wire.carry(this, () => {
        if (connection === this.#connection && this.#sent.delete(sent)) settle();
      });
    });
  }
}

/** A server and its clients. */
export class SimulatedNetwork {
  readonly server: SimulatedRedis;
  readonly clients = new Set<SimulatedClient>();
  /** What was published lately. */
  #published: (readonly [channel: string, text: string])[] = [];
  /** Says what becomes of a message for one subscriber: the number of times that it arrives. */
  fate: (channel: string) => number = () => 1;

  constructor(now: () => number, ownTime = false) {
    this.server = new SimulatedRedis(now, (channel, text) => this.#publish(channel, text), ownTime);
  }

  /** Adds a client. */
  client(wire: Wire): SimulatedClient {
    const client = new SimulatedClient(this, wire);
    this.clients.add(client);
    return client;
  }

  /** Takes a client away: nobody hears of it any more. */
  remove(client: SimulatedClient): void {
    this.clients.delete(client);
  }

  /** Calls back when a client has its connection again. */
  reconnect(wire: Wire, callback: () => void): void {
    if (wire.away) wire.away(callback);
    else wire.carry({}, callback);
  }

  /** Publishes again what nodes have sent each other lately, as messages with new numbers. */
  replay(): void {
    for (const [channel, text] of [...this.#published]) {
      const [, from, number, rest] = /^([^\n]+)\n(\d+)\n([^]*)$/.exec(text) ?? [];
      if (rest === undefined) continue;
      this.#publish(channel, `${from}\n${Number(number) + REPLAYED}\n${rest}`);
    }
  }

  #publish(channel: string, text: string): number {
    this.#published.push([channel, text]);
    if (this.#published.length > MOST_PUBLISHED) this.#published.shift();
    let count = 0;
    for (const client of this.clients) {
      for (const subscriber of client.subscribers) {
        if (!subscriber.channels.has(channel)) continue;
        count += 1;
        for (let times = this.fate(channel); times > 0; times--) subscriber.deliver(channel, text);
      }
    }
    return count;
  }
}
