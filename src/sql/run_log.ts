/**
 * Implements the event log of a file that a later process opens: what it needs to run requests again, whose
 * tools allow that, is kept.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";
import { type RequestId, responseId } from "../protocol/jsonrpc.ts";
import type { EventLogLimits, StoredRun, StreamRun } from "../streams/types.ts";
import { SqlEventLog } from "./event_log.ts";
import type { SqlTables } from "./sql.ts";
import { StoredMap } from "./stored_map.ts";

/** A run in this process, or one of an earlier process that may be begun again. */
interface Run {
  node: string;
  /** The ids of the requests without a response. */
  readonly requests: RequestId[];
  /** The number of its state: another one for each state of each run. */
  state: number;
}

/** A run that a later process may begin again. */
interface KeptRun {
  readonly session: string;
  readonly stream: string;
  readonly node: string;
  readonly requests: readonly RequestId[];
  readonly again: string;
}

/** A {@linkcode SqlEventLog} that says what runs, and keeps what may be run again. */
export class SqlRunLog extends SqlEventLog {
  readonly #limits: Required<EventLogLimits>;
  /** The runs by session and stream. The limit of running requests bounds them. */
  readonly #runs = new Map<string, Map<string, Run>>();
  readonly #kept: StoredMap<KeptRun>;
  #state = 0;

  /**
   * Opens the log. Streams whose requests ran in an earlier process are ended with an error for each, but
   * those that may be begun again.
   *
   * @param tables The database
   * @param limits The limits of each session
   * @param clock The source of time
   */
  constructor(tables: SqlTables, limits: Required<EventLogLimits>, clock: Clock) {
    super(tables, limits, clock);
    this.#limits = limits;
    this.#kept = new StoredMap(tables, "run");
    for (const [key, kept] of [...this.#kept]) this.#load(key, kept);
    this.endInterrupted((session, stream) => this.#runs.get(session)?.has(stream) === true);
  }

  override open(session: string, stream: string, run?: StreamRun): MaybePromise<void> {
    const stored = super.open(session, stream, run);
    this.#begin(session, stream, run);
    return stored?.catch((error: unknown) => {
      this.#forget(session, stream);
      throw error;
    });
  }

  #begin(session: string, stream: string, { node, requests = [] }: Partial<StreamRun> = {}): void {
    if (node === undefined || requests.length === 0) return;
    const runs = this.#runs.get(session) ?? new Map<string, Run>();
    // The first run stays, and what has ended runs nothing.
    if (runs.has(stream) || this.read(session, stream, Infinity)?.ended !== false) return;
    this.#runs.set(
      session,
      runs.set(stream, { node, requests: [...requests], state: ++this.#state }),
    );
  }

  override append(
    session: string,
    stream: string,
    data: string,
    answer = false,
  ): MaybePromise<number> {
    if (!answer) return super.append(session, stream, data);
    const key = keyOf(session, stream);
    if (this.#kept.has(key)) {
      const n = this.appendUnsaved(session, stream, data, true);
      // What is kept goes when the answer is there: neither before nor after.
      this.write(() => this.#isLast(session, stream) && this.#kept.delete(key));
      this.#answered(session, stream, data);
      return n;
    }
    // Until it is stored, the run has no answer.
    return after(super.append(session, stream, data, true), (n) => {
      this.#answered(session, stream, data);
      return n;
    });
  }

  override end(session: string, stream: string): MaybePromise<void> {
    const key = keyOf(session, stream);
    if (!this.#kept.has(key)) {
      return after(super.end(session, stream), () => this.#forget(session, stream));
    }
    this.endUnsaved(session, stream);
    this.write(() => this.#kept.delete(key));
    this.#forget(session, stream);
  }

  override drop(session: string): void {
    super.drop(session);
    for (const stream of [...this.#runs.get(session)?.keys() ?? []]) this.#forget(session, stream);
  }

  /** Returns the run of a stream that has not ended, if it has one. */
  run(session: string, stream: string): StoredRun | undefined {
    const run = this.#runs.get(session)?.get(stream);
    if (run === undefined) return undefined;
    const again = this.#kept.get(keyOf(session, stream))?.again;
    return { node: run.node, requests: [...run.requests], again, mark: String(run.state) };
  }

  /** Keeps what a later process needs to begin a request again, within the session's limit of bytes. */
  keepRequest(session: string, stream: string, again: string): void {
    const run = this.#runs.get(session)?.get(stream);
    if (run === undefined || run.requests.length === 0) return;
    const key = keyOf(session, stream);
    let length = again.length;
    for (const [other, kept] of this.#kept) {
      if (kept.session === session && other !== key) length += kept.again.length;
    }
    if (length > this.#limits.eventBytes) return;
    const { node, requests } = run;
    this.#kept.set(key, { session, stream, node, requests, again });
    run.state = ++this.#state;
  }

  /** Appends messages to a stream and ends it, in one step, unless its run has changed. */
  endRun(
    session: string,
    stream: string,
    { mark }: StoredRun,
    messages: readonly string[],
  ): boolean {
    if (this.run(session, stream)?.mark !== mark) return false;
    for (const message of messages) this.appendUnsaved(session, stream, message, true);
    this.endUnsaved(session, stream);
    this.write(() => this.#kept.delete(keyOf(session, stream)));
    this.#forget(session, stream);
    return true;
  }

  /** Moves a stream's run to a node of this process, unless it has changed. It is begun again only once. */
  moveRun(session: string, stream: string, { mark }: StoredRun, node: string): boolean {
    const run = this.#runs.get(session)?.get(stream);
    if (run === undefined || String(run.state) !== mark) return false;
    this.#kept.delete(keyOf(session, stream));
    run.node = node;
    run.state = ++this.#state;
    return true;
  }

  #load(key: string, { session, stream, node, requests }: KeptRun): void {
    const slice = this.read(session, stream, 0);
    const answered = new Set(slice?.events.flatMap(({ data }) => responseId(data) ?? []));
    const left = requests.filter((id) => !answered.has(id));
    if (slice?.ended !== false || left.length === 0) return void this.#kept.delete(key);
    const runs = this.#runs.get(session) ?? new Map<string, Run>();
    this.#runs.set(session, runs.set(stream, { node, requests: left, state: ++this.#state }));
  }

  /** Tells whether a run lacks no more than one response. */
  #isLast(session: string, stream: string): boolean {
    return (this.#runs.get(session)?.get(stream)?.requests.length ?? 0) <= 1;
  }

  #answered(session: string, stream: string, data: string): void {
    const run = this.#runs.get(session)?.get(stream);
    if (run === undefined) return;
    const { requests } = run;
    const at = requests.length === 1 ? 0 : requests.indexOf(responseId(data) ?? "");
    if (at !== -1) requests.splice(at, 1);
    run.state = ++this.#state;
    if (requests.length === 0) this.#kept.delete(keyOf(session, stream));
  }

  #forget(session: string, stream: string): void {
    const runs = this.#runs.get(session);
    if (runs?.delete(stream) !== true) return;
    if (runs.size === 0) this.#runs.delete(session);
    this.#kept.delete(keyOf(session, stream));
  }
}

function keyOf(session: string, stream: string): string {
  return JSON.stringify([session, stream]);
}

/** Calls a function with a value that may come later. */
function after<T, R>(value: MaybePromise<T>, use: (value: T) => R): MaybePromise<R> {
  return isPromise(value) ? value.then(use) : use(value);
}
