/**
 * The protocol versions and what is different about each.
 *
 * @module
 */

/**
 * The two ways of speaking MCP: `"2025"` shakes hands with `initialize` and may keep a session,
 * `"2026"` carries everything in every request.
 */
export type Era = "2025" | "2026";

/** What is particular to one version of the protocol. */
export interface VersionFacts {
  readonly era: Era;
  /** Whether a POST may carry an array of messages. */
  readonly batch: boolean;
  /** Whether a stream begins with an event that has an id and no data. */
  readonly priming: boolean;
  /** Whether a tool's result may hold a `resource_link`. */
  readonly resourceLinks: boolean;
  /** Whether the client may be asked to elicit input from the user. */
  readonly elicitation: boolean;
}

/** Every version that Mooring knows, newest first. */
export const VERSIONS = {
  "2026-07-28": v("2026", { priming: false }),
  "2025-11-25": v("2025", {}),
  "2025-06-18": v("2025", { priming: false }),
  "2025-03-26": v("2025", {
    batch: true,
    priming: false,
    resourceLinks: false,
    elicitation: false,
  }),
  "2024-11-05": v("2025", { priming: false, resourceLinks: false, elicitation: false }),
} as const satisfies Record<string, VersionFacts>;

/** A version that Mooring knows. */
export type ProtocolVersion = keyof typeof VERSIONS;

/** The version assumed of a 2025 client that never said one (2025-11-25, Transports). */
export const ASSUMED_VERSION = "2025-03-26" satisfies ProtocolVersion;

/** Whether a text names a version that Mooring knows. */
export function isVersion(value: unknown): value is ProtocolVersion {
  return typeof value === "string" && Object.hasOwn(VERSIONS, value);
}

function v(era: Era, facts: Partial<VersionFacts>): VersionFacts {
  return { era, batch: false, priming: true, resourceLinks: true, elicitation: true, ...facts };
}
