/**
 * Whether an answer is the right one: nothing is timed before it was.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type KindName, kindOf, PROGRESS } from "./kinds.ts";

interface Message {
  readonly id?: unknown;
  readonly method?: string;
  readonly params?: { readonly progressToken?: unknown; readonly progress?: unknown };
  readonly result?: {
    readonly protocolVersion?: unknown;
    readonly content?: readonly { readonly type?: unknown; readonly text?: unknown }[];
    readonly tools?: readonly { readonly name?: unknown; readonly inputSchema?: unknown }[];
    readonly serverInfo?: { readonly name?: unknown };
  };
}

/**
 * Checks the text of an answer.
 *
 * @throws {AssertionError} If it is not what the kind of work asks for
 */
export function checkAnswer(kind: KindName, text: string): void {
  const messages = messagesIn(text);
  const answer = messages.at(-1);
  assert.equal(answer?.id, 1);
  if (kind.startsWith("list-")) {
    const { tools = [] } = answer.result ?? {};
    assert.equal(tools.length, kindOf(kind).tools);
    assert.ok(tools.every(({ name, inputSchema }) => name !== undefined && inputSchema));
  } else if (kind === "initialize" || kind === "evict") {
    assert.equal(answer.result?.serverInfo?.name, "bench");
  } else {
    const said = kind === "progress" ? `Counted to ${PROGRESS}` : "5";
    assert.deepEqual(answer.result?.content, [{ type: "text", text: said }]);
  }
  if (kind === "progress") checkProgress(messages.slice(0, -1));
}

function checkProgress(messages: readonly Message[]): void {
  const steps = messages.filter(({ method }) => method === "notifications/progress");
  assert.deepEqual(steps.map(({ params }) => params?.progress), rising(PROGRESS));
  assert.ok(steps.every(({ params }) => params?.progressToken === "token-1"));
}

function rising(to: number): number[] {
  return Array.from({ length: to }, (_, i) => i + 1);
}

/** The messages of an answer, whether it is JSON or a stream. */
export function messagesIn(text: string): Message[] {
  if (text.startsWith("{")) return [JSON.parse(text)];
  const lines = text.split("\n").filter((line) => line.startsWith("data:"));
  // A stream may begin with an event that has no data.
  return lines.map((line) => line.slice(5).trim()).filter((data) => data !== "")
    .map((data) => JSON.parse(data));
}
