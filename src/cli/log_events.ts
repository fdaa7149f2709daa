/**
 * What happens at the endpoints, as lines of the log.
 *
 * @module
 */
import type { McpEvent } from "../protocol/events.ts";
import { messageOf } from "./errors.ts";
import type { Level, Log } from "./log.ts";

/** How severe each event is; those that aren't here are worth knowing. */
const LEVEL_OF: Partial<Record<McpEvent["type"], Level>> = {
  "request-started": "debug",
  "stream-opened": "debug",
  "stream-resumed": "debug",
  "stream-closed": "debug",
  "message-dropped": "debug",
  "reply-unmatched": "debug",
  "refused": "warn",
  "resume-failed": "warn",
  "upstream-abandoned": "warn",
  "upstream-failed": "warn",
  "upstream-entries-dropped": "warn",
  "message-ignored": "warn",
  "node-lost": "warn",
  "error": "error",
};

/** The endpoint of all servers together. */
export const ALL = "all";

/** What writes the events of one endpoint to the log. */
export function logEvents(log: Log, endpoint: string): (event: McpEvent) => void {
  return (event) => {
    const { type, ...fields } = event;
    // It is said once for all endpoints, where the server starts.
    if (type === "anonymous") return;
    // The gateway tells every endpoint about its upstreams.
    const upstream = type.startsWith("upstream-");
    if (upstream && endpoint !== ALL) return;
    const { error, ...rest } = { error: undefined, ...fields };
    log(LEVEL_OF[type] ?? "info", type, {
      ...!upstream && { endpoint },
      ...rest,
      ...error !== undefined && { message: messageOf(error), cause: causeOf(error) },
    });
  };
}

function causeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || error.cause === undefined) return undefined;
  return messageOf(error.cause);
}
