/**
 * Limits the upstream sessions and programs of a gateway, in total and for each user.
 *
 * @module
 */
import type { MaybePromise, Principal, UpstreamLimit } from "../../../mod.ts";
import { shareKey } from "../../cluster/mod.ts";
import { isAnonymous, ownerKey } from "../../kit.ts";
import type { GatewaySettings } from "../options.ts";
import { NoSlotError, type ReleaseSlot, SlotQueue } from "../shared/slot_queue.ts";

/** Names what is limited. */
export type LimitedKind = "upstreamSessions" | "programs";

/** Reports that a limit of the gateway is reached. */
export class BusyError extends Error {
  /** The limit. */
  readonly limit: UpstreamLimit;

  /** Creates the error. */
  constructor(limit: UpstreamLimit) {
    super(`Raise "limits.${limit}" or try again later: the limit is reached`);
    this.name = "BusyError";
    this.limit = limit;
  }
}

/**
 * Counts what a gateway has started, for all of its views together: each from before its start until
 * it is really over.
 */
export class Capacity {
  /**
   * Holds functions that end something that is kept without being in use, of a kind and of a share, or of
   * any share. They return whether there was something.
   */
  readonly reclaimers: Set<(kind: LimitedKind, share: string | undefined) => boolean> = new Set();
  readonly #queues: Readonly<Record<LimitedKind, SlotQueue>>;

  /** Creates it with nothing started. */
  constructor({ clock, limits, startWaitMs: waitMs }: GatewaySettings) {
    const queue = (most: number, mostEach: number) =>
      new SlotQueue({ clock, most, mostEach, waitMs });
    this.#queues = {
      upstreamSessions: queue(limits.upstreamSessions, limits.upstreamSessionsPerPrincipal),
      programs: queue(limits.programs, limits.programsPerPrincipal),
    };
  }

  /** Counts what runs, with what is starting and ending. */
  taken(kind: LimitedKind): number {
    return this.#queues[kind].taken;
  }

  /**
   * Takes a place for something that is about to start. If there is none, ends something that is kept
   * without being in use, and waits up to `startWaitMs`.
   *
   * @param share Whose share it counts for, from {@linkcode shareOf}
   * @returns Gives the place back; safe to call twice
   * @throws {BusyError} If there is no place
   * @throws {AbortSignal["reason"]} If the signal aborts
   */
  take(
    kind: LimitedKind,
    share: string | undefined,
    signal: AbortSignal,
  ): MaybePromise<ReleaseSlot> {
    const taken = this.#queues[kind].take(share, signal);
    if (typeof taken === "function") return taken;
    const whose = this.#queues[kind].isFull ? undefined : share;
    for (const reclaim of [...this.reclaimers]) if (reclaim(kind, whose)) break;
    return taken.catch((error) => {
      if (!(error instanceof NoSlotError)) throw error;
      throw new BusyError(error.isShare ? `${kind}PerPrincipal` : kind);
    });
  }
}

/**
 * Returns the key of the share that a principal takes from: its issuer and id, so that a user has one
 * share whatever the number of clients. Where nobody is authenticated everybody has the whole, and no
 * key.
 */
export function shareOf(principal: Principal): string | undefined {
  return isAnonymous(principal) ? undefined : shareKey(ownerKey(principal));
}
