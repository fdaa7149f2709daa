/**
 * Defines the options of every upstream that is reached over a transport.
 *
 * @module
 */
import type { ProtocolVersion, Route } from "../../../mod.ts";
import { delayOption, isVersion, ownLongCalls, VERSIONS } from "../../kit.ts";

/** Options of every upstream that is reached over a transport. */
export interface UpstreamSessionOptions {
  /**
   * Lists the acceptable protocol versions; all known ones by default. A single one pins the
   * upstream to it.
   */
  readonly versions?: readonly ProtocolVersion[];
  /**
   * Limits how long a call may wait for its answer or any other message of its own, in milliseconds.
   *
   * @default {300000}
   */
  readonly timeoutMs?: number;
  /**
   * Limits the wait for an answer in the 2026 era before falling back to 2025, in milliseconds.
   *
   * @default {5000}
   */
  readonly probeTimeoutMs?: number;
  /**
   * Says when calls of the upstream's tools are answered although they still run, in milliseconds, or
   * `false` for never; for handlers with the option `longCalls`. Their own time when left out.
   */
  readonly longCalls?: false | { readonly afterMs?: number };
}

/** {@linkcode UpstreamSessionOptions} with the defaults filled in. */
export interface SessionSettings extends Required<Omit<UpstreamSessionOptions, "longCalls">> {
  readonly longCalls: Route["longCalls"];
}

/**
 * Checks options and fills in the defaults.
 *
 * @throws {TypeError} If an option has the wrong type
 * @throws {RangeError} If a number is out of range
 */
export function checkSessionOptions(options: UpstreamSessionOptions): SessionSettings {
  const known = Object.keys(VERSIONS).filter(isVersion);
  const { versions = known } = options;
  if (!Array.isArray(versions) || versions.length === 0 || !versions.every(isVersion)) {
    throw new TypeError(
      `Give versions out of ${known.join(", ")} as "versions": ${String(versions)}`,
    );
  }
  return {
    versions: known.filter((version) => versions.includes(version)),
    timeoutMs: delayOption("timeoutMs", options.timeoutMs, 300_000),
    probeTimeoutMs: delayOption("probeTimeoutMs", options.probeTimeoutMs, 5000),
    longCalls: ownLongCalls("an upstream", options.longCalls),
  };
}
