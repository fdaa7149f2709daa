/**
 * Asks the user before a tool runs. Nothing but an explicit yes lets it run.
 *
 * @module
 */
import { clip } from "../internal/quote.ts";
import type { MaybePromise } from "../internal/types.ts";
import { McpError } from "../protocol/errors.ts";
import type { Exchange } from "../protocol/exchange.ts";
import type { RequestContext } from "./types.ts";

/**
 * Whether the user is asked before a tool runs: always, never, or as a function of the arguments
 * says. A text it returns is the question that is shown above the arguments.
 */
export type Approval<Args> = boolean | ((args: Args) => MaybePromise<boolean | string>);

/** How many characters of the arguments the user is shown. */
const LONGEST = 2_000;
/** The question's key, unlike any that a handler would choose. */
const KEY = "mooring/approval";

const SCHEMA = {
  type: "object",
  properties: {
    approve: { type: "boolean", title: "Approve", description: "Whether the tool may run" },
  },
  required: ["approve"],
};

/** Characters that show nothing, or change the order of what is shown. */
const INVISIBLE = /[\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;

/** A tool call that may have to be approved. */
export interface PendingCall {
  /** The tool's title or name. */
  readonly label: string;
  readonly approval: Approval<unknown>;
  /** The checked arguments. */
  readonly args: unknown;
  readonly ctx: RequestContext;
}

/**
 * Whether a call may run. Whatever goes wrong on the way to a yes is a no.
 *
 * @throws {AbortSignal["reason"]} If the request was stopped
 */
export async function isApproved(exchange: Exchange, call: PendingCall): Promise<boolean> {
  const { label, approval, args, ctx } = call;
  try {
    const needed = typeof approval === "function" ? await approval(args) : approval;
    if (needed === false) return true;
    const question = typeof needed === "string" ? needed : `Run the tool "${label}"?`;
    const message = `${question}\n\n${preview(args)}`;
    const { action, content } = await ctx.elicit(KEY, { message, schema: SCHEMA });
    // It may have been stopped while the answer was on its way
    exchange.signal.throwIfAborted();
    return action === "accept" && content.approve === true;
  } catch (error) {
    if (exchange.signal.aborted) throw exchange.signal.reason;
    // What the client does or can't do is no failure of the server
    if (!(error instanceof McpError)) {
      exchange.report({ type: "error", during: `approval of ${label}`, error });
    }
    return false;
  }
}

/** The arguments as they can be shown: bounded, and nothing in them can hide. */
function preview(args: unknown): string {
  const text = JSON.stringify(args, undefined, 2).replace(INVISIBLE, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
  const rest = text.length - LONGEST;
  return rest > 0 ? `${clip(text, LONGEST)} (${rest} more characters)` : text;
}
