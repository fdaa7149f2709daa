/**
 * Defines the components of an endpoint that the 2025 era uses.
 *
 * @module
 */
import type { Calls } from "../calls/calls.ts";
import type { Cluster } from "../cluster/cluster.ts";
import type { Reporter } from "../protocol/reporter.ts";
import type { ProtocolVersion } from "../protocol/versions.ts";
import type { Sessions } from "../sessions/sessions.ts";
import type { Leases } from "../streams/leases.ts";
import type { Streams } from "../streams/streams.ts";

/** The components that the era uses. */
export interface Era2025Components {
  readonly calls: Calls;
  readonly streams: Streams;
  readonly sessions: Sessions;
  readonly cluster: Cluster;
  readonly leases: Leases;
  readonly reporter: Reporter;
  /** The served versions of the era, newest first. */
  readonly versions: readonly ProtocolVersion[];
  /** Whether clients get sessions. */
  readonly sessionful: boolean;
  /** The effect of a second GET stream of a session on the first. */
  readonly secondGet: "replace" | "reject";
}
