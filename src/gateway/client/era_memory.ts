/**
 * Remembers which upstreams can't be probed for the 2026 era, and opens their sessions without the probe.
 *
 * @module
 */
import type { Clock, ProtocolVersion } from "../../../mod.ts";
import { isModern } from "../../kit.ts";
import { UpstreamError } from "../shared/upstream_error.ts";
import type { AloneInit } from "../types.ts";
import { speaksFirst2025 } from "./handshake.ts";

/** How long an upstream that ended at the probe or left it unanswered isn't probed again, in milliseconds. */
const SKIP_MS = 3_600_000;

/** Options for {@linkcode EraMemory.open}. */
export interface EraMemoryInit<T> {
  /** The acceptable versions. */
  readonly versions: readonly ProtocolVersion[];
  /** The client's side, if the upstream is served alone. */
  readonly alone?: AloneInit | undefined;
  readonly clock: Clock;
  /** Aborts when the session is no longer needed. */
  readonly signal: AbortSignal;
  /**
   * Opens a session over a new connection.
   *
   * @param onSilent Call it if the upstream didn't answer the probe
   */
  readonly attempt: (versions: readonly ProtocolVersion[], onSilent: () => void) => Promise<T>;
}

/**
 * Remembers, for one upstream, that the probe for the 2026 era ends it or gets no answer. The specification
 * (2026-07-28, Versioning and Compatibility) has clients try that era first, but some programs of the 2025
 * era exit at any message before `initialize`, and others ignore it.
 */
export class EraMemory {
  #skipUntil = 0;

  /**
   * Opens a session. If the upstream ends during the handshake with the probe, opens another one without
   * it; if that works, the probe is left out for an hour, or until a handshake without it fails.
   *
   * @throws The error of the last attempt
   */
  async open<T>({ versions, alone, clock, signal, attempt }: EraMemoryInit<T>): Promise<T> {
    const legacy = versions.filter((version) => !isModern(version));
    const skip = () => this.#skipUntil = clock.now() + SKIP_MS;
    const probed = () => attempt(versions, skip);
    if (legacy.length === 0 || legacy.length === versions.length) return await probed();
    // The handshake begins with `initialize`, which costs no program its life.
    if (speaksFirst2025({ alone }, versions)) return await probed();
    const unprobed = () => attempt(legacy, () => {});
    if (clock.now() < this.#skipUntil) {
      try {
        return await unprobed();
      } catch (error) {
        // The upstream may have been replaced by a newer one, which must be probed.
        if (!signal.aborted) this.#skipUntil = 0;
        if (signal.aborted || !isKind(error, "rejected", "protocol")) throw error;
        return await probed();
      }
    }
    try {
      return await probed();
    } catch (error) {
      if (signal.aborted || !isKind(error, "closed")) throw error;
    }
    const opened = await unprobed();
    skip();
    return opened;
  }
}

function isKind(error: unknown, ...kinds: readonly UpstreamError["kind"][]): boolean {
  return error instanceof UpstreamError && kinds.includes(error.kind);
}
