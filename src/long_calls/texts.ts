/**
 * Holds what models read about calls that run on after their answer, and the tools to follow them.
 *
 * @module
 */
import { quote } from "../internal/quote.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";

/** The name of the tool that waits for the result of a call. */
export const WAIT = "wait_for_result";

/** The name of the tool that cancels a call. */
export const CANCEL = "cancel_call";

const INPUT = {
  type: "object",
  properties: {
    handle: { type: "string", description: "The handle from the answer of the call" },
  },
  required: ["handle"],
};

/** The tools to follow calls, as `tools/list` shows them. */
export const TOOLS: readonly JsonObject[] = [
  {
    name: WAIT,
    title: "Wait for a result",
    description:
      "Waits for the result of a tool that was still running when its call was answered. " +
      "Takes the handle from that answer. Call it again if the tool is still running.",
    inputSchema: INPUT,
    annotations: { readOnlyHint: true, idempotentHint: true, openWorldHint: false },
  },
  {
    name: CANCEL,
    title: "Cancel a call",
    description:
      "Stops a tool that was still running when its call was answered. Takes the handle " +
      "from that answer.",
    inputSchema: INPUT,
    annotations: { destructiveHint: true, idempotentHint: true, openWorldHint: false },
  },
];

/** Returns what a call answers whose tool still runs. */
export function runsOn(tool: string, handle: string, status: string | undefined): string {
  const far = status === undefined ? "" : ` So far: ${status}.`;
  return `The tool ${quote(tool)} is still running, and goes on.${far} For its result call ` +
    `${WAIT} with {"handle": ${JSON.stringify(handle)}}; don't call ${quote(tool)} again for it. ` +
    `To stop it, call ${CANCEL} with the same handle.`;
}

/** Returns what `wait_for_result` answers when the tool still runs. */
export function stillRuns(handle: string, status: string | undefined): string {
  const far = status === undefined ? "" : ` So far: ${status}.`;
  return `The tool is still running.${far} Call ${WAIT} again with {"handle": ` +
    `${JSON.stringify(handle)}}, or ${CANCEL} to stop it.`;
}

/** How far a call is whose node was lost, and which runs again. */
export const BEGUN_AGAIN = "It begins again, as the node that ran it was lost";

/** What a call has for a handle that nobody has given to this principal, or that has expired. */
export const UNKNOWN_HANDLE =
  "Unknown handle: its time is over, or it was never given to you. Call the tool again if you still need " +
  "its result";
