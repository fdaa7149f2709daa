/**
 * Asks the user before a tool runs. Only an explicit yes lets it run.
 *
 * @module
 */
import {
  APPROVAL_KEY,
  APPROVAL_SCHEMA,
  approvalMessage,
} from "../../calls/questions/approval_question.ts";
import { StopError } from "../../calls/lifetime/stop.ts";
import type { MaybePromise } from "../../internal/types.ts";
import { McpError } from "../../protocol/errors.ts";
import type { ApprovalAnswer } from "../../protocol/events.ts";
import type { Exchange } from "../../protocol/exchange.ts";
import { isObject } from "../../protocol/jsonrpc.ts";
import { isModern } from "../../protocol/versions.ts";
import type { RequestContext } from "../types.ts";

/**
 * Says whether to ask the user before a tool runs: always, never, or as a function of the arguments
 * decides. A string that it returns is the question to show above the arguments.
 */
export type Approval<Args> = boolean | ((args: Args) => MaybePromise<boolean | string>);

/** A tool call that may need approval. */
export interface PendingCall {
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
export async function isApproved(exchange: Exchange, call: PendingCall): Promise<boolean> {
  const { label, approval, args, ctx } = call;
  let asked = false;
  try {
    const needed = typeof approval === "function" ? await approval(args) : approval;
    if (needed === false) return true;
    const question = typeof needed === "string" ? needed : `Run the tool "${label}"?`;
    const message = approvalMessage(question, args);
    asked = asksLive(exchange) || answersNow(exchange);
    if (asksLive(exchange)) report(exchange, call, "approval-asked");
    const { action, content } = await ctx.elicit(APPROVAL_KEY, {
      message,
      schema: APPROVAL_SCHEMA,
    });
    // The request may have been stopped while the client answered
    exchange.signal.throwIfAborted();
    const approved = action === "accept" && content.approve === true;
    if (asked) report(exchange, call, "approval-answered", approved ? "approved" : "denied");
    return approved;
  } catch (error) {
    if (exchange.signal.aborted) {
      const { reason } = exchange.signal;
      const isAsked = reason instanceof StopError && reason.kind === "input-required";
      if (isAsked) report(exchange, call, "approval-asked");
      else if (asked) report(exchange, call, "approval-answered", "failed");
      throw reason;
    }
    if (asked) report(exchange, call, "approval-answered", "failed");
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

/** Tells whether a round brings the answer: later rounds have it in their state. */
function answersNow({ params: { inputResponses } }: Exchange): boolean {
  return isObject(inputResponses) && Object.hasOwn(inputResponses, APPROVAL_KEY);
}

function report(
  exchange: Exchange,
  { name: tool }: PendingCall,
  type: "approval-asked" | "approval-answered",
  answer: ApprovalAnswer = "failed",
): void {
  const { facts } = exchange;
  if (type === "approval-asked") {
    return exchange.report({ ...facts, type, tool: facts?.tool ?? tool });
  }
  exchange.report({ ...facts, type, tool: facts?.tool ?? tool, answer });
}
