/**
 * Lets a state that a client sends back be used once, at any node that shares the store.
 *
 * @module
 */
import type { Clock } from "../../internal/clock.ts";
import { DelayLine } from "../../internal/delay_line.ts";
import { randomText } from "../../internal/random.ts";
import { Slots } from "../../internal/slots.ts";
import type { MaybePromise } from "../../internal/types.ts";
import { ErrorCode, McpError } from "../../protocol/errors.ts";
import { isObject, type JsonObject } from "../../protocol/jsonrpc.ts";

/** The longest time for which a single-use state is valid, in milliseconds. */
const LONGEST_MS = 60 * 60_000;
/** The used states that a node remembers at most, and those of one principal. */
const MOST = 10_000;
const MOST_PER_PRINCIPAL = 1_000;

/** Options for {@linkcode SingleUse}. */
export interface SingleUseOptions {
  /** The time for which a state is valid, in milliseconds, if it is not more than an hour. */
  readonly ttlMs: number;
  readonly clock: Clock;
  /**
   * Claims a key for `ttlMs` milliseconds, for all nodes that share the store. Returns the holder: this
   * one unless another has claimed it before.
   */
  readonly claim: (key: string, holder: string, ttlMs: number) => MaybePromise<string>;
}

/**
 * Issues passes, each of which is accepted once. A pass goes into a sealed state, which protects it.
 *
 * A used pass is remembered for twice the time for which it is valid, so that it stays used where the
 * clocks of nodes differ by less than that time. When a principal has used so many that they can't all
 * be remembered, more are refused.
 */
export class SingleUse {
  readonly #options: SingleUseOptions;
  readonly #ttlMs: number;
  readonly #slots = new Slots(MOST, MOST_PER_PRINCIPAL);
  readonly #remembered: DelayLine;

  /** Creates an issuer that remembers nothing; no timer runs until a pass is used. */
  constructor(options: SingleUseOptions) {
    this.#options = options;
    this.#ttlMs = Math.min(options.ttlMs, LONGEST_MS);
    this.#remembered = new DelayLine(options.clock, 2 * this.#ttlMs);
  }

  /** The number of used passes that this node remembers. */
  get size(): number {
    return this.#slots.taken;
  }

  /** Issues a pass. */
  issue(): JsonObject {
    return { id: randomText(22), until: this.#options.clock.now() + this.#ttlMs };
  }

  /**
   * Uses a pass.
   *
   * @param share Whose share it counts for
   * @returns Whether it is valid and has not been used before
   * @throws {McpError} If the share or all together have used too many
   * @throws {Error} The store's error, if it fails: the pass has not been used
   */
  async use(pass: unknown, share: string): Promise<boolean> {
    const { id, until } = isObject(pass) ? pass : {};
    if (typeof id !== "string" || typeof until !== "number") return false;
    const { claim, clock } = this.#options;
    if (until <= clock.now()) return false;
    if (!this.#slots.take(share)) {
      throw new McpError(ErrorCode.Refused, "Retry later: too many approvals were used lately");
    }
    const holder = randomText(16);
    const remembered = this.#remembered.add(() => this.#slots.give(share));
    let first = false;
    try {
      // A session's id, which may be claimed too, has no colon
      first = await claim(`used:${id}`, holder, 2 * this.#ttlMs) === holder;
      return first;
    } finally {
      if (!first) {
        remembered.cancel();
        this.#slots.give(share);
      }
    }
  }

  /** Forgets how many passes were used. */
  dispose(): void {
    this.#remembered.clear();
  }
}
