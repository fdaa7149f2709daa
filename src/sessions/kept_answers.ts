/**
 * Keeps the answers of calls with a key, so that a repeat of such a call gets the answer of the first one:
 * while that runs, here or at another node, and for some time after.
 *
 * @module
 */
import { CALL_KEY, type CallAnswers, type KeyedCall } from "../calls/call_key.ts";
import { onAbort } from "../calls/lifetime/scope.ts";
import { StopError } from "../calls/lifetime/stop.ts";
import { CallRefusedError, storeFailed } from "../calls/refused_error.ts";
import { canonical } from "../calls/state/state.ts";
import { toBase64Url } from "../internal/base64.ts";
import type { Clock } from "../internal/clock.ts";
import { type Delay, DelayLine } from "../internal/delay_line.ts";
import { randomText } from "../internal/random.ts";
import type { MaybePromise } from "../internal/types.ts";
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import { NODE_LOST } from "../protocol/node_loss.ts";
import { type OwnedRecords, OwnedValues } from "./owned_values.ts";
import type { StateValues } from "./state_values.ts";

/** The time for which an answer is kept, in milliseconds. */
export const KEPT_MS = 15 * 60_000;
/** The keys of one owner at most. */
export const MOST_KEYS = 1_000;
/** The bytes of the answers of one owner at most. */
export const MOST_BYTES = 262_144;
/** The time for which the key of a call is kept that doesn't end, in milliseconds. */
const RUN_MS = 24 * 60 * 60_000;
/** The time between signs of life of a running call, in milliseconds. */
const BEAT_MS = 2_000;
/** The time without a sign of life after which the node of a call counts as dead, in milliseconds. */
const DEAD_MS = 7_000;
/** The time between looks at a call that runs, in milliseconds. */
const POLL_MS = 250;
const encoder = new TextEncoder();

/** Options for {@linkcode KeptAnswers}. */
export interface KeptAnswersInit {
  /** The records; `undefined` if the store keeps none. */
  readonly records: OwnedRecords | undefined;
  /** Secrets that seal the records, if other processes may use the store. */
  readonly keys: readonly (string | Uint8Array)[] | undefined;
  readonly clock: Clock;
  /** Reports an answer that could not be kept yet. */
  readonly failed: (error: unknown) => void;
}

/** Why there is no answer to give. */
type Lost = "failed" | "stopped" | "too-large";

const WHY: Readonly<Record<Lost, string>> = {
  failed: "failed",
  stopped: "was stopped",
  "too-large": "had an answer that is too large to keep",
};

/** A call by its key, as it is stored. It begins with the time after which it is forgotten. */
type KeptCall = readonly [
  until: number,
  /** A digest of what the call is about. */
  about: string,
  run: string,
  lost?: Lost | null,
  result?: JsonObject,
];

/** What a call with a key is to do: `begin` gives a sign of life, before `run` is asked for. */
type KeyedStep =
  | { readonly kind: "begin" | "run" }
  | { readonly kind: "wait"; readonly run: string }
  | { readonly kind: "answer"; readonly result: JsonObject };

/** Changes the values of an owner; `false` if it has changed nothing. */
type Apply = (values: StateValues) => boolean | void;

/** What there is to know for a verdict. */
interface Asked {
  readonly key: string;
  readonly about: string;
  /** The run that the call would begin. */
  readonly run: string;
  /** Whether that has given a sign of life. */
  readonly begun: boolean;
  /** A run that gives none any more. */
  readonly dead: string | undefined;
  /** Whether the tool may run again when its answer is lost. */
  readonly again: boolean;
  readonly now: number;
}

/** The answers of all owners. */
export class KeptAnswers implements CallAnswers {
  readonly #init: KeptAnswersInit;
  readonly #owners: OwnedValues | undefined;
  readonly #beats: DelayLine;
  readonly #polls: DelayLine;

  /** Creates the keeper; nothing is read yet. */
  constructor(init: KeptAnswersInit) {
    const { records, keys, clock } = this.#init = init;
    this.#owners = records && new OwnedValues({
      ...{ records, keys, clock },
      purpose: "mooring kept answers 1",
      prefix: "answers",
      what: "the answers that are kept for this caller",
      ttlMs: (values) => Math.max(1, lastOf(values) - clock.now()),
    });
    this.#beats = new DelayLine(clock, BEAT_MS);
    this.#polls = new DelayLine(clock, POLL_MS);
  }

  async run(call: KeyedCall, tool: () => MaybePromise<JsonObject>): Promise<JsonObject> {
    const { records, clock } = this.#init;
    const { owner, key, protocolVersion, route: { answerOnce = "", params, retry } } = call;
    const owners = this.#owners;
    if (records === undefined || owners === undefined) throw new TypeError(NO_RECORDS);
    if (owner === undefined) throw new McpError(ErrorCode.InvalidParams, NOBODY);
    const about = await digest(canonical([protocolVersion, answerOnce, params.arguments ?? {}]));
    const run = randomText(16);
    const beat = new Beat(records, this.#beats, run);
    const change = (apply: Apply) => owners.change(owner, apply);
    let dead: string | undefined;
    let begun = false;
    let runs = false;
    try {
      while (!runs) {
        let verdict: KeyedStep = { kind: "begin" };
        await stored(call, () =>
          change((values) => {
            const asked = { key, about, run, begun, dead, again: retry === true, now: clock.now() };
            verdict = decide(values, asked);
            return verdict.kind === "run";
          }));
        // What the change has found
        const found = verdict as KeyedStep;
        switch (found.kind) {
          case "answer":
            call.noteRepeated();
            return found.result;
          case "wait":
            begun = false;
            await this.#wait(call, records, dead = found.run);
            break;
          case "begin":
            await stored(call, () => beat.give());
            begun = true;
            break;
          case "run":
            runs = true;
        }
      }
    } finally {
      if (!runs && begun) void beat.end();
    }
    return await this.#first(call, { change, run, about, beat }, tool);
  }

  /** Ends all waits. */
  dispose(): void {
    this.#beats.clear();
    this.#polls.clear();
  }

  /** Runs the tool, and keeps what it answers. */
  async #first(
    call: KeyedCall,
    { change, run, about, beat }: {
      readonly change: (apply: Apply) => Promise<void>;
      readonly run: string;
      readonly about: string;
      readonly beat: Beat;
    },
    tool: () => MaybePromise<JsonObject>,
  ): Promise<JsonObject> {
    const { key } = call;
    const { clock } = this.#init;
    const until = clock.now() + RUN_MS;
    let over = false;
    const end = async (apply: Apply): Promise<void> => {
      if (over) return;
      over = true;
      unwatch();
      const attempt = async () => {
        try {
          // Another node may have taken the call over, if it counted this one as dead.
          await change((values) => entryOf(values, key)?.[2] === run && apply(values));
          return true;
        } catch (error) {
          this.#init.failed(error);
          return clock.now() >= until;
        }
      };
      if (await attempt()) await beat.end();
      else beat.endAfter(attempt);
    };
    const keep = (lost: Lost | null, result?: JsonObject): Apply => (values) => {
      const until = clock.now() + KEPT_MS;
      const ended = [until, about, run, lost] as const;
      const entry: KeptCall = result === undefined ? ended : [...ended, result];
      if (values.setText(key, JSON.stringify(entry), MOST_BYTES)) return;
      values.setText(key, JSON.stringify([until, about, run, "too-large"]), Infinity);
    };
    const forget: Apply = (values) => values.delete(key);
    const unwatch = call.onOver(() => {
      const { reason } = call.signal;
      // The retry with the responses is the same call.
      const asks = reason instanceof StopError && reason.kind === "input-required";
      void end(asks ? forget : keep("stopped"));
    });
    if (call.isOver()) {
      await end(forget);
      call.signal.throwIfAborted();
    }
    beat.goOn(until, clock);
    call.runOn();
    try {
      const result = await tool();
      await end(result.resultType === "input_required" ? forget : keep(null, result));
      return result;
    } catch (error) {
      // Such a call was refused before its tool ran.
      await end(error instanceof CallRefusedError ? forget : keep("failed"));
      throw error;
    }
  }

  /** Waits until a run gives no sign of life any more. */
  async #wait(call: KeyedCall, records: OwnedRecords, run: string): Promise<void> {
    const { signal } = call;
    while (await stored(call, () => records.get(beatOf(run))) !== undefined) {
      signal.throwIfAborted();
      await new Promise<void>((resolve, reject) => {
        const delay = this.#polls.add(() => {
          unwatch();
          resolve();
        });
        const unwatch = onAbort(signal, () => {
          delay.cancel();
          reject(signal.reason);
        });
      });
    }
    signal.throwIfAborted();
  }
}

/** The sign of life of a run: a record that expires soon, unless it is written again. */
class Beat {
  readonly #records: OwnedRecords;
  readonly #line: DelayLine;
  readonly #name: string;
  #last: Promise<unknown> = Promise.resolve();
  #delay: Delay | undefined;
  #ended = false;
  /** What is to be done before the end; `true` when it is. */
  #before: (() => Promise<boolean>) | undefined;

  constructor(records: OwnedRecords, line: DelayLine, run: string) {
    this.#records = records;
    this.#line = line;
    this.#name = beatOf(run);
  }

  /** Gives a sign of life. */
  async give(): Promise<void> {
    const given = (async () => await this.#records.put(this.#name, "1", { ttlMs: DEAD_MS }))();
    this.#last = given.catch(() => {});
    await given;
  }

  /** Goes on giving signs of life until the end, or until a time. */
  goOn(until: number, clock: Clock): void {
    const next = async () => {
      if (this.#ended || clock.now() >= until) return;
      try {
        if (await this.#before?.() === true) return await this.end();
        await this.give();
      } catch {
        // The store is away: what counts is whether it is back in time.
      }
      if (!this.#ended) wait();
    };
    // Where timers end with their request, so does the run.
    const wait = () => this.#delay = this.#line.add(() => void next(), () => {});
    wait();
  }

  /** Ends the signs of life once something else is done, which is tried again and again. */
  endAfter(before: () => Promise<boolean>): void {
    this.#before = before;
  }

  /** Ends the signs of life. */
  async end(): Promise<void> {
    this.#ended = true;
    this.#delay?.cancel();
    try {
      await this.#last;
      await this.#records.delete(this.#name);
    } catch {
      // It expires.
    }
  }
}

/**
 * Decides what a call with a key is to do, and notes its run if it is to run.
 *
 * @throws {McpError} If the key belongs to another call, there is no answer to give, or no room
 */
function decide(values: StateValues, asked: Asked): KeyedStep {
  const { key, about, run, begun, dead, again, now } = asked;
  for (const [key, text] of values.entries()) if (untilOf(text) <= now) values.delete(key);
  const entry = entryOf(values, key);
  if (entry !== undefined) {
    const [, before, other, lost, result] = entry;
    if (before !== about) throw new McpError(ErrorCode.InvalidParams, OTHER_CALL, KEY_IN_USE);
    if (result !== undefined) return { kind: "answer", result };
    const isLost = typeof lost === "string";
    if (!isLost && other !== dead) return { kind: "wait", run: other };
    if (!again) throw isLost ? answerLost(lost) : nodeLost();
  } else if (values.size >= MOST_KEYS) throw full();
  if (!begun) return { kind: "begin" };
  const own: KeptCall = [now + RUN_MS, about, run];
  if (!values.setText(key, JSON.stringify(own), MOST_BYTES)) throw full();
  return { kind: "run" };
}

/** Calls the store, and tells its failures as errors for the client. */
async function stored<T>(call: KeyedCall, use: () => MaybePromise<T>): Promise<T> {
  try {
    return await use();
  } catch (error) {
    if (error instanceof McpError) throw error;
    const isFull = error instanceof Error && error.name === "TooManyRecordsError";
    if (isFull || error instanceof RangeError) throw full();
    throw storeFailed(call, error, "store of answers");
  }
}

function entryOf(values: StateValues, key: string): KeptCall | undefined {
  return values.get(key) as KeptCall | undefined; // Only this file writes them
}

/** Reads when an entry is forgotten, without the rest of it. */
function untilOf(text: string): number {
  return Number.parseInt(text.slice(1), 10);
}

function lastOf(values: StateValues): number {
  return Math.max(...values.entries().map(([, text]) => untilOf(text)));
}

function beatOf(run: string): string {
  return `answers-run:${run}`;
}

async function digest(text: string): Promise<string> {
  return toBase64Url(new Uint8Array(await crypto.subtle.digest("SHA-256", encoder.encode(text))));
}

const NO_RECORDS = `Use a store with "answers" for tools with "answerOnce": this one keeps none`;
const NOBODY =
  `Leave out "_meta.${CALL_KEY}", or begin a session: nobody knows whose call it would be`;
const OTHER_CALL =
  `Give another "_meta.${CALL_KEY}": this one belongs to a call of another tool, ` +
  "with other arguments, or in another version of the protocol";
const KEY_IN_USE = { reason: "key-in-use" };

function full(): McpError {
  return new McpError(
    ErrorCode.Refused,
    `Call again later, or without "_meta.${CALL_KEY}": no more answers can be kept, and the tool has not run`,
    { reason: "answer-limit" },
  );
}

function nodeLost(): McpError {
  return new McpError(NODE_LOST.code, NODE_LOST.message, NODE_LOST.data);
}

function answerLost(lost: Lost): McpError {
  return new McpError(
    ErrorCode.NotAvailable,
    `The first call with this key ${
      WHY[lost]
    }: the tool may have run. Find out what it has done before you ` +
      "call it again, with another key",
    { reason: "answer-lost", mayHaveRun: true },
  );
}
