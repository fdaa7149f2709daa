/**
 * Writes the question whether a tool may run.
 *
 * @module
 */
import { escapeInvisible } from "../../internal/invisible.ts";
import { clip } from "../../internal/quote.ts";
import { isObject, type JsonObject } from "../../protocol/jsonrpc.ts";

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

/** Tells whether an answer to the question is a yes. */
export function isYes({ action, content }: JsonObject): boolean {
  return action === "accept" && isObject(content) && content.approve === true;
}

function preview(args: unknown): string {
  const text = escapeInvisible(JSON.stringify(args, undefined, 2));
  const rest = text.length - LONGEST;
  return rest > 0 ? `${clip(text, LONGEST)} (${rest} more characters)` : text;
}
