/**
 * Keeps the questions that users were asked: which link is for whom, and what became of it.
 *
 * @module
 */
import { ErrorCode, McpError } from "../../mod.ts";
import { clip, escapeInvisible, onAbort, quote, randomText, shortHash } from "../kit.ts";
import type { SignInAsker, SignInNeed, SignInQuestion } from "../gateway/mod.ts";
import { keysOf, readJson } from "../signin/sealed_records.ts";
import { type User, userName, userOf } from "./names.ts";
import type { AccountsSettings } from "./settings.ts";
import type { AccountAuthOptions } from "./types.ts";

/** The most questions of a user that wait at a time. */
const MOST_ASKS = 20;
/** How often what happened at other nodes is looked at, in milliseconds. */
const LOOK_MS = 1_000;
/** The most questions that this node waits for. */
const MOST_WAITS = 10_000;

/** A question as it is stored. */
export interface StoredAsk {
  readonly user: User;
  readonly upstream: string;
  readonly need: SignInNeed;
  /** How the gateway is a client there. */
  readonly auth: AccountAuthOptions;
  /** What the client program calls itself. */
  readonly program: string;
  /** The token of the page's form. */
  readonly token: string;
  /** When it was asked, in milliseconds since the epoch. */
  readonly at: number;
  readonly until: number;
  readonly state: "open" | "started" | "done" | "failed";
}

/** A question that was found. */
export interface FoundAsk {
  readonly ask: StoredAsk;
  readonly version: string;
}

/** The questions of all nodes. */
export class Asks {
  readonly #settings: AccountsSettings;
  /** What waits at this node, by the id of the question. */
  readonly #waiting = new Map<string, Set<() => void>>();
  #waits = 0;

  constructor(settings: AccountsSettings) {
    this.#settings = settings;
  }

  /** Begins to ask. */
  async begin(
    need: SignInNeed,
    { upstream, principal, client, session }: SignInAsker,
    auth: AccountAuthOptions,
  ): Promise<SignInQuestion> {
    const { records, clock, lifetimes: { linkMs }, url, report } = this.#settings;
    const user = userOf(principal);
    const name = await userName(user);
    const waiting = await keysOf(records, `ask:${name}.`, MOST_ASKS + 1);
    if (waiting.length >= MOST_ASKS) await this.#deleteOldest(waiting);
    const id = `${name}.${randomText(22)}`;
    const now = clock.now();
    const ask: StoredAsk = {
      ...{ user, upstream, need, auth, token: randomText(32), at: now, until: now + linkMs },
      program: escapeInvisible(clip(client.info?.name ?? "A client", 60)),
      state: "open",
    };
    const written = await records.put(`ask:${id}`, JSON.stringify(ask), {
      ttlMs: linkMs,
      expected: null,
    });
    if (written === undefined) throw new McpError(ErrorCode.InternalError, "Call again");
    report({
      ...{ step: "ask", outcome: "passed", upstream, user: user.id, userIssuer: user.issuer },
      reason: session === undefined ? "asked" : `asked in the session ${shortHash(session)}`,
    });
    const more = need.isStepUp ? ": more rights are needed" : "";
    return {
      id,
      url: `${url}/accounts/connect?ask=${id}`,
      message: `Sign in at ${quote(upstream)} to use its tools${more}`,
    };
  }

  async #deleteOldest(keys: readonly string[]): Promise<void> {
    const { records } = this.#settings;
    const found = await Promise.all(keys.map(async (key) => {
      return { key, at: (await readJson<StoredAsk>(records, key))?.value.at ?? 0 };
    }));
    const [oldest] = found.sort((one, other) => one.at - other.at);
    if (oldest !== undefined) await records.delete(oldest.key);
  }

  /** Returns a question that hasn't come too late. */
  async find(id: string): Promise<FoundAsk | undefined> {
    if (!/^[\w-]{24}\.[\w-]{22}$/.test(id)) return undefined;
    const { records, clock } = this.#settings;
    const found = await readJson<StoredAsk>(records, `ask:${id}`);
    if (found === undefined || clock.now() >= found.value.until) return undefined;
    return { ask: found.value, version: found.version };
  }

  /** Changes the state of a question. Returns whether nobody else has changed it. */
  async change(
    id: string,
    { ask, version }: FoundAsk,
    state: StoredAsk["state"],
  ): Promise<boolean> {
    const { records, clock } = this.#settings;
    const ttlMs = Math.max(1_000, ask.until - clock.now());
    const text = JSON.stringify({ ...ask, state });
    const isChanged =
      await records.put(`ask:${id}`, text, { ttlMs, expected: version }) !== undefined;
    this.#wake(id);
    return isChanged;
  }

  /** Ends a question that waits. */
  async cancel(id: string): Promise<void> {
    await this.#settings.records.delete(`ask:${id}`);
    this.#wake(id);
  }

  /**
   * Waits until a question is settled, at any node.
   *
   * @returns Whether the user has signed in
   * @throws {AbortSignal["reason"]} If the signal aborts
   */
  async settled(id: string, signal: AbortSignal): Promise<boolean> {
    if (this.#waits >= MOST_WAITS) {
      throw new McpError(ErrorCode.InternalError, "Call again later: too many users sign in");
    }
    this.#waits++;
    try {
      for (;;) {
        signal.throwIfAborted();
        // What changes while it is read wakes the next look at once
        const change = this.#nextLook(id, signal);
        try {
          const found = await this.find(id);
          if (found === undefined || found.ask.state === "failed") return false;
          if (found.ask.state === "done") return true;
          await change.promise;
        } finally {
          change.stop();
        }
      }
    } finally {
      this.#waits--;
    }
  }

  #nextLook(id: string, signal: AbortSignal) {
    const { promise, resolve } = Promise.withResolvers<void>();
    const stopTimer = this.#settings.clock.timer(LOOK_MS, resolve);
    const stopSignal = onAbort(signal, resolve);
    const waiting = this.#waiting.get(id) ?? new Set();
    this.#waiting.set(id, waiting.add(resolve));
    const stop = () => {
      stopTimer();
      stopSignal();
      waiting.delete(resolve);
      if (waiting.size === 0 && this.#waiting.get(id) === waiting) this.#waiting.delete(id);
    };
    return { promise, stop };
  }

  #wake(id: string): void {
    for (const wake of [...this.#waiting.get(id) ?? []]) wake();
  }
}
