/**
 * Counts how often in a row a program ended by itself, and spaces out its starts.
 *
 * @module
 */
import { type Clock, ErrorCode } from "../../../mod.ts";
import { randomFraction } from "../../kit.ts";
import { UpstreamError } from "../shared/upstream_error.ts";
import { UnusableError } from "./unusable.ts";

/** The latest crash of a program. */
export interface Crash {
  /** The number of crashes in a row. */
  readonly count: number;
  /** When the program may be started again, in milliseconds since the epoch. */
  readonly retryAt: number;
  /** How the program ended. */
  readonly detail: string | undefined;
}

/** Options for {@linkcode Crashes}. */
export interface CrashesOptions {
  /**
   * Returns a random number from 0 up to 1, by which waits vary.
   *
   * @default {randomFraction}
   */
  readonly random?: () => number;
  /**
   * Limits the programs that are remembered; the oldest are forgotten first.
   *
   * @default {10000}
   */
  readonly most?: number;
}

/** Sets from how many crashes in a row the operator is needed. */
const MANY = 3;
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30_000;
/** How long a program that may be started again counts as crashed, in milliseconds. */
const KEPT_MS = 60_000;
/** Sets after how long a program that ran is taken to work, in milliseconds. */
const STABLE_MS = 60_000;

/**
 * Remembers the crashes of programs by upstream and owner. One user's crashes never delay the programs
 * of another. The first start after a crash is at once, the next ones after a second and longer.
 */
export class Crashes {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #most: number;
  /** The crashes, the oldest first. */
  readonly #kept = new Map<string, Crash>();
  readonly #unprobed = new Set<string>();
  /** The errors that were counted for many sessions: all of a program get the same one. */
  readonly #counted = new WeakSet<UpstreamError>();

  /** Creates it without crashes. */
  constructor(clock: Clock, { random = randomFraction, most = 10_000 }: CrashesOptions = {}) {
    this.#clock = clock;
    this.#random = random;
    this.#most = most;
  }

  /** The number of programs that are remembered. */
  get size(): number {
    return this.#kept.size;
  }

  /** Returns the latest crash of a program, unless it has worked since or that was long ago. */
  get(upstream: string, owner: string): Crash | undefined {
    const crash = this.#kept.get(keyOf(upstream, owner));
    return crash === undefined || this.#isOver(crash) ? undefined : crash;
  }

  /**
   * Counts a crash.
   *
   * @param ranMs How long the program ran after its handshake, in milliseconds
   */
  add(upstream: string, owner: string, error: UpstreamError, ranMs = 0): Crash {
    const before = ranMs >= STABLE_MS ? 0 : this.get(upstream, owner)?.count ?? 0;
    const key = keyOf(upstream, owner);
    this.#kept.delete(key);
    for (const [oldest, crash] of this.#kept) {
      if (!this.#isOver(crash) && this.#kept.size < this.#most) break;
      this.#kept.delete(oldest);
    }
    const retryAt = this.#clock.now() + waitAfter(before + 1) * (1 + this.#random() / 4);
    const crash: Crash = { count: before + 1, retryAt, detail: error.detail };
    this.#kept.set(key, crash);
    return crash;
  }

  /** Counts the crash of a program of many sessions, of which only the first to say so is heard. */
  addOnce(upstream: string, owner: string, error: UpstreamError, ranMs = 0): Crash | undefined {
    if (this.#counted.has(error)) return undefined;
    this.#counted.add(error);
    return this.add(upstream, owner, error, ranMs);
  }

  /** Forgets the crashes of a program that works. */
  remove(upstream: string, owner: string): void {
    if (this.#kept.size > 0) this.#kept.delete(keyOf(upstream, owner));
  }

  /** Forgets everything about an upstream that was removed or replaced. */
  removeAll(upstream: string): void {
    this.#unprobed.delete(upstream);
    for (const key of this.#kept.keys()) {
      if (key.startsWith(`${upstream} `)) this.#kept.delete(key);
    }
  }

  /** Tells whether the programs of an upstream end when they are probed for life. */
  isProbeFatal(upstream: string): boolean {
    return this.#unprobed.has(upstream);
  }

  /** Remembers that a program of an upstream ended when it was probed for life. */
  setProbeFatal(upstream: string): void {
    this.#unprobed.add(upstream);
  }

  #isOver({ retryAt }: Crash): boolean {
    return retryAt + KEPT_MS <= this.#clock.now();
  }
}

/** Tells whether the operator has to look at a program, and requests don't wait for it any more. */
export function isHopeless({ count }: Crash): boolean {
  return count >= MANY;
}

/** Creates the error for a client whose program keeps crashing. */
export function crashError(upstream: string, crash: Crash, now: number): UnusableError {
  const { count: crashes, detail = "no exit code", retryAt } = crash;
  const retryMs = Math.max(0, Math.ceil(retryAt - now));
  const message = `Have the operator look at what the program of the upstream "${upstream}" ` +
    `printed: it ended ${crashes} times in a row (${detail})`;
  return new UnusableError(ErrorCode.InternalError, message, {
    ...{ upstream, reason: "crashed", crashes, retryMs },
  });
}

/** Tells whether an error says that a program ended by itself. */
export function isCrash(error: unknown): error is UpstreamError {
  return error instanceof UpstreamError && error.kind === "closed";
}

/** Returns how long a program isn't started again after so many crashes, in milliseconds. */
function waitAfter(count: number): number {
  return count < 2 ? 0 : Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (count - 2));
}

function keyOf(upstream: string, owner: string): string {
  return `${upstream} ${owner}`;
}
