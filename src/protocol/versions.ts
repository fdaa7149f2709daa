/**
 * Lists the protocol versions and the differences between them.
 *
 * @module
 */

/**
 * Names one of the two ways of speaking MCP: `"2025"` begins with `initialize` and may keep a
 * session, `"2026"` carries everything in every request.
 */
export type Era = "2025" | "2026";

/** The facts about one protocol version. */
export interface VersionFacts {
  readonly era: Era;
  /** Whether a POST may carry an array of messages. */
  readonly batch: boolean;
  /** Whether a stream begins with an event that has an id and no data. */
  readonly priming: boolean;
  /** Whether the version has elicitation. */
  readonly elicitation: boolean;
  /** Whether elicitations have a `mode`, and so can ask the user to visit a URL. */
  readonly elicitationModes: boolean;
}

/** A protocol version that Mooring knows. */
export type ProtocolVersion =
  | "2026-07-28"
  | "2025-11-25"
  | "2025-06-18"
  | "2025-03-26"
  | "2024-11-05";

/** The facts about every version that Mooring knows, newest first. */
export const VERSIONS: Readonly<Record<ProtocolVersion, VersionFacts>> = {
  "2026-07-28": facts("2026", ["elicitation", "elicitationModes"]),
  "2025-11-25": facts("2025", ["priming", "elicitation", "elicitationModes"]),
  "2025-06-18": facts("2025", ["elicitation"]),
  "2025-03-26": facts("2025", ["batch"]),
  "2024-11-05": facts("2025", []),
};

/** The version to assume for a 2025 client that names none (2025-11-25, Transports). */
export const ASSUMED_VERSION: ProtocolVersion = "2025-03-26";

/** Tells whether a value names a version that Mooring knows. */
export function isVersion(value: unknown): value is ProtocolVersion {
  return typeof value === "string" && Object.hasOwn(VERSIONS, value);
}

/** Tells whether a version belongs to the 2026 era; unknown versions don't. */
export function isModern(version: string): boolean {
  return isVersion(version) && VERSIONS[version].era === "2026";
}

function facts(era: Era, features: readonly Exclude<keyof VersionFacts, "era">[]): VersionFacts {
  return {
    era,
    batch: features.includes("batch"),
    priming: features.includes("priming"),
    elicitation: features.includes("elicitation"),
    elicitationModes: features.includes("elicitationModes"),
  };
}
