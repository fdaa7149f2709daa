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
const SCHEMA = {
  type: "object",
  properties: {
    approve: { type: "boolean", title: "Approve", description: "Whether the tool may run" },
  },
  required: ["approve"],
};

/** An answer to the question, as a client writes it. */
interface ApprovalReply {
  readonly action?: unknown;
  readonly content?: unknown;
}

/** The question of one call whether its tool may run, its answer, and the reports of both. */
export class ApprovalQuestion {
  readonly #exchange: Exchange;
  readonly #tool: string;

  /** @param tool The tool's name, for events about a request that has none */
  constructor(exchange: Exchange, tool: string) {
    this.#exchange = exchange;
    this.#tool = tool;
  }

  /**
   * Returns the parameters of the elicitation.
   *
   * @param args The arguments, which are shown below the question: bounded, with invisible characters escaped
   */
  params(question: string, args: unknown): { message: string; requestedSchema: typeof SCHEMA } {
    return {
      message: `${escapeInvisible(question)}\n\n${preview(args)}`,
      requestedSchema: SCHEMA,
    };
  }

  /** The answer that this round brings, if it does: later rounds have it in their state. */
  get answer(): unknown {
    const { inputResponses } = this.#exchange.params;
    if (!isObject(inputResponses) || !Object.hasOwn(inputResponses, APPROVAL_KEY)) return undefined;
    return inputResponses[APPROVAL_KEY];
  }

  /** Reports that the user was asked. */
  asked(): void {
    this.#exchange.report({ ...this.#facts, type: "approval-asked" });
  }

  /** Reports an answer, and returns whether it is a yes. */
  answered(reply: ApprovalReply): boolean {
    const approved = isYes(reply);
    this.#report(approved ? "approved" : "denied");
    return approved;
  }

  /** Reports that there will be no answer. */
  failed(): void {
    this.#report("failed");
  }

  get #facts() {
    const { facts } = this.#exchange;
    return { ...facts, tool: facts?.tool ?? this.#tool };
  }

  #report(answer: ApprovalAnswer): void {
    this.#exchange.report({ ...this.#facts, type: "approval-answered", answer });
  }
}

/** Tells whether an answer to the question is a yes. */
export function isYes({ action, content }: ApprovalReply): boolean {
  return action === "accept" && isObject(content) && content.approve === true;
}

function preview(args: unknown): string {
  const text = escapeInvisible(JSON.stringify(args, undefined, 2));
  const rest = text.length - LONGEST;
  return rest > 0 ? `${clip(text, LONGEST)} (${rest} more characters)` : text;
}
