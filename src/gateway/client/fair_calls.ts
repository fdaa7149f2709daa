/**
 * Takes turns among the sessions that use one program: none of them keeps the others waiting, however much
 * it sends.
 *
 * @module
 */
import { type Clock, ErrorCode, type MaybePromise, McpError } from "../../../mod.ts";
import { type Delay, DelayLine, onAbort } from "../../kit.ts";

/** Options for {@linkcode FairCalls}. */
export interface FairCallsOptions {
  readonly clock: Clock;
  /** The most calls at a time. */
  readonly calls: number;
  /** The most calls of one session at a time. */
  readonly callsPerSession: number;
  /** The most calls of one owner at a time. */
  readonly callsPerOwner: number;
  /** The most calls of one session that wait. */
  readonly waitingPerSession: number;
  /** The longest wait of a call, in milliseconds. */
  readonly waitMs: number;
}

/** A call that waits for its turn. */
interface WaitingCall {
  readonly admit: () => void;
  readonly refuse: (error: unknown) => void;
}

/** The calls of one session. */
export interface CallLane {
  /** Identifies the user, if known: all sessions of a user have one part. */
  readonly owner: string | CallLane | undefined;
  running: number;
  /** The calls that wait, the longest first. */
  readonly waiting: Set<WaitingCall>;
}

/** Hands out turns to calls: within each session in their order, among sessions by rotation. */
export class FairCalls {
  readonly #options: FairCallsOptions;
  readonly #waits: DelayLine;
  /** The sessions with calls that wait; whose turn was last is the last. */
  readonly #lanes = new Set<CallLane>();
  readonly #owners = new Map<string | CallLane, number>();
  #running = 0;

  /** Creates it without calls. */
  constructor(options: FairCallsOptions) {
    this.#options = options;
    this.#waits = new DelayLine(options.clock, options.waitMs);
  }

  /** The number of calls that have a turn. */
  get running(): number {
    return this.#running;
  }

  /**
   * Takes a turn: at once if there is one, otherwise when it comes.
   *
   * @returns Gives the turn back; to be called once
   * @throws {McpError} If too many calls of the session wait already, or none ends in time
   * @throws {AbortSignal["reason"]} If the signal aborts
   */
  take(lane: CallLane, signal: AbortSignal): MaybePromise<() => void> {
    // A call never passes another of its own session.
    if (lane.waiting.size === 0 && this.#mayRun(lane)) return this.#run(lane);
    return this.#wait(lane, signal);
  }

  /** Refuses what waits, of one session or of all. */
  refuse(error: unknown, lanes: Iterable<CallLane> = this.#lanes): void {
    for (const lane of [...lanes]) for (const { refuse } of [...lane.waiting]) refuse(error);
  }

  #wait(lane: CallLane, signal: AbortSignal): Promise<() => void> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      if (lane.waiting.size >= this.#options.waitingPerSession) throw busy();
      const leave = () => {
        lane.waiting.delete(waiting);
        if (lane.waiting.size === 0) this.#lanes.delete(lane);
        timeout.cancel();
        ignore();
      };
      const waiting: WaitingCall = {
        admit: () => {
          leave();
          resolve(this.#run(lane));
        },
        refuse: (error) => {
          leave();
          reject(error);
        },
      };
      const timeout: Delay = this.#waits.add(() => waiting.refuse(busy()));
      const ignore = onAbort(signal, () => waiting.refuse(signal.reason));
      lane.waiting.add(waiting);
      this.#lanes.add(lane);
    });
  }

  #mayRun(lane: CallLane): boolean {
    const { calls, callsPerSession, callsPerOwner } = this.#options;
    return this.#running < calls && lane.running < callsPerSession &&
      (this.#owners.get(lane.owner ?? lane) ?? 0) < callsPerOwner;
  }

  #run(lane: CallLane): () => void {
    const owner = lane.owner ?? lane;
    this.#running++;
    lane.running++;
    this.#owners.set(owner, (this.#owners.get(owner) ?? 0) + 1);
    return () => {
      this.#running--;
      lane.running--;
      const left = (this.#owners.get(owner) ?? 1) - 1;
      if (left === 0) this.#owners.delete(owner);
      else this.#owners.set(owner, left);
      this.#admit();
    };
  }

  /** Gives the turns that are free to those that wait. */
  #admit(): void {
    for (let lane = this.#next(); lane !== undefined; lane = this.#next()) {
      const [first] = lane.waiting;
      // Others with as much have their turn before this session has the next.
      this.#lanes.delete(lane);
      if (lane.waiting.size > 1) this.#lanes.add(lane);
      first?.admit();
    }
  }

  /** Finds the session whose turn it is: of those that may run another call, one that runs fewest. */
  #next(): CallLane | undefined {
    let next: CallLane | undefined;
    for (const lane of this.#lanes) {
      if (next !== undefined && lane.running >= next.running) continue;
      if (this.#mayRun(lane)) next = lane;
    }
    return next;
  }
}

function busy(): McpError {
  return new McpError(ErrorCode.Refused, "Call again later: the upstream is busy");
}
