/**
 * A store that fails where a test says so, over one in memory that doesn't.
 *
 * @module
 */
import { memoryStore } from "../../src/cluster/memory/store.ts";
import type { Backplane, Store, StoreSettings } from "../../src/cluster/types.ts";
import { isPromise } from "../../src/internal/types.ts";

/** How a call of the store goes wrong. */
export type FaultKind =
  /** It throws, and has done nothing. */
  | "throws"
  /** It rejects, and has done nothing. */
  | "rejects"
  /** It does what it should, and then rejects: the answer was lost on its way. */
  | "lost"
  /** It is done, and its answer comes, in the next {@linkcode FaultyStore.release}. */
  | "late"
  /** It is done, but its answer comes in the next {@linkcode FaultyStore.release}. */
  | "unheard"
  /** Nothing comes of it before {@linkcode FaultyStore.heal}, when the connection breaks for good. */
  | "stuck";

/** Calls that answer at once or never. */
export const SYNCHRONOUS = [
  "sessions.size",
  "sessions.hold",
  "sessions.free",
  "log.watch",
  "log.unwatch",
  "lease.release",
  "member.leave",
] as const;

/** Calls that may take their time. */
export const ASYNCHRONOUS = [
  "sessions.reserve",
  "sessions.release",
  "sessions.create",
  "sessions.use",
  "sessions.peek",
  "sessions.update",
  "sessions.end",
  "sessions.sweep",
  "sessions.ids",
  "sessions.getState",
  "sessions.setState",
  "sessions.deleteState",
  "sessions.subscribe",
  "sessions.unsubscribe",
  "sessions.subscribers",
  "log.open",
  "log.append",
  "log.end",
  "log.appendStream",
  "log.read",
  "log.deliver",
  "log.delivered",
  "log.drop",
  "leases.take",
  "leases.tryTake",
  "leases.held",
  "member.publish",
  "member.send",
  "nodes.beat",
  "nodes.find",
  "nodes.leave",
  "claims.claim",
  "claims.holder",
  "claims.release",
  "documents.get",
  "documents.put",
] as const;

/** What no client may ever read. */
export const SECRET = "redis://store:hunter2@10.0.0.7:6379";

/** What the store throws. */
export class StoreFailure extends Error {
  constructor(call: string) {
    super(`${call} ECONNREFUSED ${SECRET}`);
    this.name = "StoreFailure";
  }
}

/** A {@linkcode Store} whose calls can be made to fail. */
export class FaultyStore implements Store {
  /** Which calls fail, and how; none when it says nothing. */
  fault: (call: string, nth: number) => FaultKind | undefined = () => undefined;
  /** How often each call was made. */
  readonly calls = new Map<string, number>();
  readonly #inner = memoryStore();
  #backplane: Backplane | undefined;
  #waiting: (() => void)[] = [];
  #stuck: (() => void)[] = [];

  open(settings: StoreSettings): Backplane {
    this.#backplane ??= this.#inner.open(settings);
    const { sessions, log, bus, leases, nodes, claims, documents } = this.#backplane;
    return {
      ...this.#backplane,
      sessions: this.#wrap("sessions", sessions),
      log: this.#wrap("log", log, {
        watch: (unwatch: () => void) => () => this.#now("log.unwatch", unwatch),
      }),
      bus: {
        join: (node, listener) => this.#wrap("member", bus.join(node, listener)),
      },
      nodes: this.#wrap("nodes", nodes),
      claims: this.#wrap("claims", claims),
      documents: this.#wrap("documents", documents),
      leases: this.#wrap("leases", leases, {
        take: (lease: object) => this.#wrap("lease", lease),
        tryTake: (lease: object | undefined) => lease && this.#wrap("lease", lease),
      }),
    };
  }

  /** The store that never fails, behind this one. */
  get inside(): Backplane {
    if (this.#backplane === undefined) throw new Error("No handler has opened the store");
    return this.#backplane;
  }

  /** Whether something waits to be released. */
  get waiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Lets what is late go on, in the order of the calls. */
  release(): void {
    for (const go of this.#waiting.splice(0)) go();
  }

  /** Nothing fails any more; what is stuck breaks. */
  heal(): void {
    this.fault = () => undefined;
    this.release();
    for (const go of this.#stuck.splice(0)) go();
  }

  #wrap<T extends object>(
    part: string,
    target: T,
    then: Readonly<Record<string, (value: never) => unknown>> = {},
  ): T {
    return new Proxy(target, {
      get: (_, key) => {
        const name = String(key);
        const call = `${part}.${name}`;
        const value: unknown = Reflect.get(target, key, target);
        if (typeof value !== "function") {
          return SYNCHRONOUS.some((known) => known === call) ? this.#now(call, () => value) : value;
        }
        const change = Object.hasOwn(then, name) ? then[name] : undefined;
        return (...args: unknown[]) => {
          const work = () => {
            const answer: unknown = Reflect.apply(value, target, args);
            return change === undefined ? answer : change(answer as never); // as the target answers
          };
          const synchronous = SYNCHRONOUS.some((known) => known === call);
          return synchronous ? this.#now(call, work) : this.#call(call, work);
        };
      },
    });
  }

  #kind(call: string): FaultKind | undefined {
    const nth = this.calls.get(call) ?? 0;
    this.calls.set(call, nth + 1);
    return this.fault(call, nth);
  }

  /** A call that can't wait. */
  #now(call: string, work: () => unknown): unknown {
    const kind = this.#kind(call);
    if (kind === undefined) return work();
    if (kind === "lost") work();
    throw new StoreFailure(call);
  }

  #call(call: string, work: () => unknown): unknown {
    const kind = this.#kind(call);
    switch (kind) {
      case undefined:
        return work();
      case "throws":
        throw new StoreFailure(call);
      case "rejects":
        return Promise.reject(new StoreFailure(call));
      case "lost": {
        const failure = Promise.reject(new StoreFailure(call));
        const done = work();
        return isPromise(done) ? done.then(() => failure) : failure;
      }
      case "late":
        return new Promise((resolve) => this.#waiting.push(() => resolve(undefined))).then(work);
      case "unheard": {
        const done = work();
        return new Promise((resolve) => this.#waiting.push(() => resolve(done)));
      }
      case "stuck":
        return new Promise((_, reject) => {
          this.#stuck.push(() => reject(new StoreFailure(call)));
        });
    }
  }
}
