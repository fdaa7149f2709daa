/**
 * Offers a tool in place of those of an upstream at which the user has not signed in: its call asks for that.
 *
 * @module
 */
import type { JsonObject } from "../../../mod.ts";
import { quote } from "../../kit.ts";
import type { UpstreamSessions } from "../session/upstream_sessions.ts";

/** The name of the tool, at its upstream. */
export const CONNECT_TOOL = "connect_account";

/** Returns the definition of the tool for an upstream. */
export function connectTool(sessions: UpstreamSessions, upstream: string): JsonObject {
  return {
    name: sessions.shownName(upstream, CONNECT_TOOL),
    title: `Connect an account at ${upstream}`,
    description:
      `Lets the user sign in at ${
        quote(upstream)
      }, whose tools are listed after that. Call it when ` +
      "a task needs them.",
    inputSchema: { type: "object", properties: {} },
    annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true },
  };
}

/** Returns the result of the tool once the user has signed in. */
export function connected(upstream: string): JsonObject {
  const text = `The user's account at ${quote(upstream)} is connected. List the tools again`;
  return { content: [{ type: "text", text }] };
}
