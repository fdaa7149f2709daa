/**
 * Asks the user before a tool runs. Only an explicit yes lets it run.
 *
 * @module
 */
import { clip } from "../internal/quote.ts";
import type { MaybePromise } from "../internal/types.ts";
import { McpError } from "../protocol/errors.ts";
import type { Exchange } from "../protocol/exchange.ts";
import type { RequestContext } from "./types.ts";

/**
 * Says whether to ask the user before a tool runs: always, never, or as a function of the arguments
 * decides. A string that it returns is the question to show above the arguments.
 */
export type Approval<Args> = boolean | ((args: Args) => MaybePromise<boolean | string>);

/** Limits the part of the arguments that the user sees, in characters. */
const LONGEST = 2_000;
/** Keys the question; handlers don't use this prefix. */
const KEY = "mooring/approval";

const SCHEMA = {
  type: "object",
  properties: {
    approve: { type: "boolean", title: "Approve", description: "Whether the tool may run" },
  },
  required: ["approve"],
};

/** Matches characters that are invisible or change the order of the text. */
const INVISIBLE = /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/** Describes a tool call that may need approval. */
export interface PendingCall {
  /** Holds the tool's title or name. */
  readonly label: string;
  readonly approval: Approval<unknown>;
  /** Holds the validated arguments. */
  readonly args: unknown;
  readonly ctx: RequestContext;
}

/**
 * Tells whether a call may run. Every failure to get a yes is a no.
 *
 * @throws {AbortSignal["reason"]} When the request was stopped
 */
export async function isApproved(exchange: Exchange, call: PendingCall): Promise<boolean> {
  const { label, approval, args, ctx } = call;
  try {
    const needed = typeof approval === "function" ? await approval(args) : approval;
    if (needed === false) return true;
    const question = typeof needed === "string" ? needed : `Run the tool "${label}"?`;
    const message = `${question}\n\n${preview(args)}`;
    const { action, content } = await ctx.elicit(KEY, { message, schema: SCHEMA });
    // The request may have been stopped while the client answered
    exchange.signal.throwIfAborted();
    return action === "accept" && content.approve === true;
  } catch (error) {
    if (exchange.signal.aborted) throw exchange.signal.reason;
    // An error of the client is not a failure of the server
    if (!(error instanceof McpError)) {
      exchange.report({ type: "error", during: `approval of ${label}`, error });
    }
    return false;
  }
}

/** Formats the arguments for the user: bounded, with invisible characters escaped. */
function preview(args: unknown): string {
  const text = JSON.stringify(args, undefined, 2).replace(INVISIBLE, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
  const rest = text.length - LONGEST;
  return rest > 0 ? `${clip(text, LONGEST)} (${rest} more characters)` : text;
}
