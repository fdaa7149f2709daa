/**
 * Writes the question whether a tool may run, reads its answer, and reports both.
 *
 * @module
 */
import { escapeInvisible } from "../../internal/invisible.ts";
import { clip } from "../../internal/quote.ts";
import type { ApprovalAnswer } from "../../protocol/events.ts";
import type { Exchange } from "../../protocol/exchange.ts";
import { isObject } from "../../protocol/jsonrpc.ts";

/** Limits the part of the arguments that the user sees, in characters. */
const LONGEST = 2_000;
/**
 * Keys the question; handlers don't use this prefix. Its answer counts only with the state that proves
 * that it was asked, and once.
 */
export const APPROVAL_KEY = "mooring/approval";

/** The description of the answer. */
export const APPROVAL_SCHEMA = {
  type: "object",
  properties: {
    approve: { type: "boolean", title: "Approve", description: "Whether the tool may run" },
  },
  required: ["approve"],
};

/** Writes a question with the arguments: bounded, with invisible characters escaped. */
export function approvalMessage(question: string, args: unknown): string {
  return `${escapeInvisible(question)}\n\n${preview(args)}`;
}

/** The answer to the question, as a client writes it. */
interface ApprovalReply {
  readonly action?: unknown;
  readonly content?: unknown;
}

/** Tells whether an answer to the question is a yes. */
export function isYes({ action, content }: ApprovalReply): boolean {
  return action === "accept" && isObject(content) && content.approve === true;
}

/** Returns the answer that a round brings, if it does: later rounds have it in their state. */
export function approvalAnswer({ params: { inputResponses } }: Exchange): unknown {
  if (!isObject(inputResponses) || !Object.hasOwn(inputResponses, APPROVAL_KEY)) return undefined;
  return inputResponses[APPROVAL_KEY];
}

/** Reports that the user was asked whether a tool may run, or the answer. */
export function reportApproval(exchange: Exchange, tool: string, answer?: ApprovalAnswer): void {
  const { facts } = exchange;
  const about = { ...facts, tool: facts?.tool ?? tool };
  if (answer === undefined) exchange.report({ ...about, type: "approval-asked" });
  else exchange.report({ ...about, type: "approval-answered", answer });
}

function preview(args: unknown): string {
  const text = escapeInvisible(JSON.stringify(args, undefined, 2));
  const rest = text.length - LONGEST;
  return rest > 0 ? `${clip(text, LONGEST)} (${rest} more characters)` : text;
}
