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

/** A version that Mooring knows. */
export type ProtocolVersion =
  | "2026-07-28"
  | "2025-11-25"
  | "2025-06-18"
  | "2025-03-26"
  | "2024-11-05";

/** Every version that Mooring knows, newest first. */
export const VERSIONS: Readonly<Record<ProtocolVersion, VersionFacts>> = {
  "2026-07-28": facts("2026", { priming: false }),
  "2025-11-25": facts("2025", {}),
  "2025-06-18": facts("2025", { priming: false }),
  "2025-03-26": facts("2025", {
    batch: true,
    priming: false,
    resourceLinks: false,
    elicitation: false,
  }),
  "2024-11-05": facts("2025", { priming: false, resourceLinks: false, elicitation: false }),
};

/** The version assumed of a 2025 client that never said one (2025-11-25, Transports). */
export const ASSUMED_VERSION: ProtocolVersion = "2025-03-26";

/** Whether a text names a version that Mooring knows. */
export function isVersion(value: unknown): value is ProtocolVersion {
  return typeof value === "string" && Object.hasOwn(VERSIONS, value);
}

const MODERN: readonly string[] = Object.keys(VERSIONS)
  .filter((version) => isVersion(version) && VERSIONS[version].era === "2026");

/** Whether a text names a version of the 2026 era. */
export function isModern(version: string): boolean {
  return MODERN.includes(version);
}

function facts(era: Era, own: Partial<VersionFacts>): VersionFacts {
  return { era, batch: false, priming: true, resourceLinks: true, elicitation: true, ...own };
}
