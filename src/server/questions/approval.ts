/**
 * Asks the user before a tool runs. Only an explicit yes lets it run.
 *
 * @module
 */
import { APPROVAL_KEY, ApprovalQuestion, isYes } from "../../calls/questions/approval.ts";
import { StopError } from "../../calls/lifetime/stop.ts";
import type { MaybePromise } from "../../internal/types.ts";
import { McpError } from "../../protocol/errors.ts";
import type { Exchange } from "../../protocol/exchange.ts";
import { isModern } from "../../protocol/versions.ts";
import type { RequestContext } from "../types.ts";

/**
 * Says whether to ask the user before a tool runs: always, never, or as a function of the arguments
 * decides. A string that it returns is the question to show above the arguments.
 */
export type Approval<Args> = boolean | ((args: Args) => MaybePromise<boolean | string>);

/** A tool call that may need approval. */
export interface CallToApprove {
  /** The tool's name, for events. */
  readonly name: string;
  /** The tool's title or name. */
  readonly label: string;
  readonly approval: Approval<unknown>;
  /** The validated arguments. */
  readonly args: unknown;
  readonly ctx: RequestContext;
}

/**
 * Tells whether a call may run. Every failure to get a yes is a no.
 *
 * @throws {AbortSignal["reason"]} When the request was stopped
 */
export async function isApproved(exchange: Exchange, call: CallToApprove): Promise<boolean> {
  const { label, approval, args, ctx } = call;
  const question = new ApprovalQuestion(exchange, call.name);
  let asked = false;
  try {
    const needed = typeof approval === "function" ? await approval(args) : approval;
    if (needed === false) return true;
    const text = typeof needed === "string" ? needed : `Run the tool "${label}"?`;
    const { message, requestedSchema: schema } = question.params(text, args);
    asked = asksLive(exchange) || question.answer !== undefined;
    if (asksLive(exchange)) question.asked();
    const answer = await ctx.elicit(APPROVAL_KEY, { message, schema });
    // The request may have been stopped while the client answered
    exchange.signal.throwIfAborted();
    return asked ? question.answered(answer) : isYes(answer);
  } catch (error) {
    if (exchange.signal.aborted) {
      const { reason } = exchange.signal;
      const isAsked = reason instanceof StopError && reason.kind === "input-required";
      if (isAsked) question.asked();
      else if (asked) question.failed();
      throw reason;
    }
    if (asked) question.failed();
    // An error of the client is not a failure of the server
    if (!(error instanceof McpError)) {
      exchange.report({ type: "error", during: `approval of ${label}`, error });
    }
    return false;
  }
}

/** Tells whether the client is asked while the request runs, and not by the end of a round. */
function asksLive({ protocolVersion, task }: Exchange): boolean {
  return !isModern(protocolVersion) || task !== undefined;
}
