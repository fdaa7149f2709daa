/**
 * Two users who want more than they may have of a cluster: one holds as many running calls as it gets, and
 * one spends each token of a rate limit. Both come back at once when they are refused.
 *
 * @module
 */
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { envelope, headersFor } from "../../support/modern.ts";
import { as, URL_2025 } from "../../support/wire.ts";
import { type Cluster, type Timed, toUrl, until } from "./cluster.ts";
import { METERED, SPENDER } from "./metered_tools.ts";

/** The nodes that run at a time. */
const NODES = 3;
/** Calls that want to run at once: more than may. */
const HOLDERS = 30;
/** Calls that want a token at once. */
const SPENDERS = 4;
/** How long a call holds its slot at most, in milliseconds. */
const HOLD_MS = 900;
/** How long a user waits before it comes back, at most, in milliseconds. */
const AGAIN_MS = 250;
/** What a node lets each principal have without counting it: see "A principal's share of all nodes". */
const ALLOWANCE = Math.floor(METERED.requestsPerPrincipal / 20);
/** The most calls that may run at once. */
const MOST_AT_ONCE = METERED.requestsPerPrincipal + (NODES - 1) * ALLOWANCE;
/**
 * By how many tokens a time may exceed its own: what nodes had taken ahead before it (a tenth of `burst`
 * each), and what was on its way to requests when a node stood still: a request of each, and another one
 * for each connection that broke meanwhile.
 */
const TAKEN_BEFORE = NODES * Math.floor(METERED.burst / 10) + 2 * SPENDERS;
/** A lease of a dead node, and what a busy machine may add, in milliseconds. */
const WHOLE_AGAIN_MS = 30_000 + 10_000;

/** A call that was made, and its status: `undefined` if the connection broke. */
interface Made {
  readonly call: string;
  ended: boolean;
  status: number | undefined;
}

/** The two users at work. */
export class Metered {
  readonly #cluster: Cluster;
  readonly #url: string;
  readonly #random: () => number;
  readonly #made: Made[] = [];
  #over = false;
  #next = 0;

  /**
   * @param cluster The nodes, to find out what ran when
   * @param url Where the nodes serve what is counted
   */
  constructor(cluster: Cluster, url: string, random: () => number) {
    this.#cluster = cluster;
    this.#url = url;
    this.#random = random;
  }

  /** Its calls that have no answer yet. */
  get open(): readonly Made[] {
    return this.#made.filter(({ ended }) => !ended);
  }

  /** Works until it is stopped. */
  async work(): Promise<void> {
    const often = async (act: () => Promise<void>) => {
      while (!this.#over) {
        await act();
        await pause(this.#random() * AGAIN_MS);
      }
    };
    await Promise.all([
      ...Array.from(
        { length: HOLDERS },
        () => often(() => this.#call("holder", "hold", { ms: this.#random() * HOLD_MS })),
      ),
      ...Array.from({ length: SPENDERS }, () => often(() => this.#call(SPENDER, "spend", {}))),
    ]);
  }

  /** Makes no more calls. */
  stop(): void {
    this.#over = true;
  }

  /** Checks that neither user ever had more than it may. */
  check(): { readonly atOnce: number; readonly over: number } {
    const timed = this.#cluster.timed;
    const atOnce = mostAtOnce(timed);
    assert.ok(atOnce <= MOST_AT_ONCE, `${atOnce} calls of one principal ran at once`);
    const spent = timed.filter(({ what }) => what === "spent").map(({ at }) => at);
    const over = mostOver(spent, METERED.perSecond) - METERED.burst;
    assert.ok(over <= TAKEN_BEFORE, `${over} tokens more than there were`);
    return { atOnce, over };
  }

  /** Checks that each call ran once if it was answered, never twice, and that both users got something. */
  checkCalls(): void {
    const ran = new Map<string, number>();
    for (const { what, call } of this.#cluster.timed) {
      if (what !== "ended") ran.set(call, (ran.get(call) ?? 0) + 1);
    }
    for (const { call, status } of this.#made) {
      const times = ran.get(call) ?? 0;
      const about = `${call} ran ${times} times and got ${status}`;
      assert.ok(times <= 1, about);
      assert.ok([undefined, 200, 429, 502, 503].includes(status), about);
      if (status === 200) assert.equal(times, 1, about);
      if (status === 429) assert.equal(times, 0, about);
    }
    const answered = this.#made.filter(({ status }) => status === 200);
    for (const kind of ["hold", "spend"]) {
      assert.ok(answered.filter(({ call }) => call.startsWith(kind)).length > 30, kind);
    }
  }

  /** Waits until the whole share can be used again: at most a lease after the last node died. */
  async wholeAgain(): Promise<void> {
    const from = Date.now();
    const whole = () => {
      const since = this.#cluster.timed.filter(({ at }) => at > from);
      return mostAtOnce(since) >= METERED.requestsPerPrincipal;
    };
    await until(whole, "the whole share", WHOLE_AGAIN_MS);
  }

  async #call(who: string, name: string, args: Readonly<Record<string, unknown>>): Promise<void> {
    const call = `${name} ${++this.#next}`;
    const made: Made = { call, ended: false, status: undefined };
    this.#made.push(made);
    const params = { name, arguments: { call, ...args }, _meta: envelope() };
    const headers = {
      "content-type": "application/json",
      accept: "application/json",
      ...headersFor("tools/call", params),
      ...as(who),
    };
    const body = JSON.stringify({ jsonrpc: "2.0", id: call, method: "tools/call", params });
    try {
      const request = new Request(URL_2025, { method: "POST", headers, body });
      const response = await toUrl(this.#url)(request);
      await response.text();
      made.status = response.status;
    } catch {
      // The connection broke: nobody knows what became of the call.
    }
    made.ended = true;
  }
}

/** The most calls that were between `began` and `ended` at one time. */
export function mostAtOnce(timed: readonly Timed[]): number {
  // What ended in the same millisecond may have made the room.
  const order = { ended: 0, began: 1, spent: 2 };
  const running = new Set<string>();
  const over = new Set<string>();
  let most = 0;
  for (
    const { what, call } of timed.toSorted((a, b) => a.at - b.at || order[a.what] - order[b.what])
  ) {
    // One that began and ended in the same millisecond is over already.
    if (what === "began" && !over.has(call)) running.add(call);
    if (what === "ended") {
      over.add(call);
      running.delete(call);
    }
    most = Math.max(most, running.size);
  }
  return most;
}

/**
 * The most that was spent within any time beyond what is added during it: `burst` where a bucket was full,
 * and nobody got more than it had.
 *
 * @param times When each token was spent, in milliseconds since the epoch
 */
export function mostOver(times: readonly number[], perSecond: number): number {
  let most = 0;
  let over = 0;
  let before = -Infinity;
  for (const at of times.toSorted((a, b) => a - b)) {
    over = Math.max(0, over - (at - before) / 1_000 * perSecond) + 1;
    most = Math.max(most, over);
    before = at;
  }
  return most;
}
