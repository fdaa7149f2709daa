/**
 * The work of each kind that is timed: one operation, with its check.
 *
 * @module
 */
import assert from "node:assert/strict";
import { checkAnswer } from "./answers.ts";
import { open, type Opened, openStream, senderAt } from "./client.ts";
import { CALLERS, type KindName, kindOf } from "./kinds.ts";
import {
  CALL,
  COUNTING,
  ENDPOINT,
  initializeOf,
  LIST,
  MODERN_CALL,
  modernHeaders,
  post,
  type Sender,
  sessionHeaders,
} from "./messages.ts";
import type { Stack, StackModule } from "./stacks/types.ts";

/** Something that can be done over and over. */
export interface Work {
  /** Does it once. */
  run(): Promise<void>;
  /**
   * Checks what was done last.
   *
   * @throws {AssertionError} If it went wrong
   */
  check(): void;
}

/** What a piece of work needs. */
export interface WorkInit {
  readonly kind: KindName;
  readonly module: StackModule;
  readonly stack: Stack;
  /** How many sessions there are to be. */
  readonly sessions: number;
}

/** Makes what has to be there before, and the work. */
export async function prepare(init: WorkInit): Promise<Work> {
  const { kind, stack, sessions, module } = init;
  if (kind === "notify") return await notifying(stack, sessions);
  if (kind === "modern") {
    const headers = modernHeaders("add");
    return asking(init, senders().map((sender) => post(MODERN_CALL, sender, headers)));
  }
  if (kind === "initialize") {
    // No two clients in a row say the same.
    return asking(init, senders().map((sender, n) => post(initializeOf(n), sender)));
  }
  const body = kind === "progress" ? COUNTING : kind.startsWith("list-") ? LIST : CALL;
  const accept = acceptOf(kind, module);
  if (module.title === "floor") {
    return asking(init, senders().map((sender) => post(body, sender, { accept, ...UNKNOWN })));
  }
  const callers = await openAll(stack, Math.max(CALLERS, sessions));
  return asking(
    init,
    callers.map(({ session, sender }) =>
      post(body, sender, { accept, ...sessionHeaders(session) })
    ),
  );
}

/** What stands for a session where nobody looks. */
const UNKNOWN = sessionHeaders({ id: "x".repeat(32), version: "2025-11-25" });

function senders(): Sender[] {
  return Array.from({ length: CALLERS }, (_, i) => senderAt(i));
}

function acceptOf(kind: KindName, { acceptJson, acceptSse }: StackModule): string {
  if (kind === "sse") return acceptSse ?? "text/event-stream";
  if (kind === "progress") return "application/json, text/event-stream";
  return acceptJson ?? "application/json, text/event-stream";
}

/** Begins many sessions, and returns as many as call, evenly spread. */
async function openAll(stack: Stack, sessions: number): Promise<Opened[]> {
  const callers: Opened[] = [];
  const every = Math.floor(sessions / CALLERS);
  for (let n = 0; n < sessions; n++) {
    const opened = await open(stack, senderAt(n));
    if (n % every === 0 && callers.length < CALLERS) callers.push(opened);
  }
  return callers;
}

/** Sends the same few requests in turn. */
function asking({ kind, stack }: WorkInit, requests: readonly RequestInit[]): Work {
  let turn = 0;
  let last: { readonly status: number; readonly text: string } | undefined;
  return {
    async run() {
      const response = await stack.answer(new Request(ENDPOINT, requests[turn]));
      turn = turn + 1 === requests.length ? 0 : turn + 1;
      last = { status: response.status, text: await response.text() };
    },
    check() {
      assert.equal(last?.status, 200, last?.text);
      checkAnswer(kind, last.text);
    },
  };
}

/** Sends one notification on each of many open streams, and waits until all have arrived. */
async function notifying(stack: Stack, streams: number): Promise<Work> {
  let left = 0;
  let all = () => {};
  let last = new Uint8Array();
  const opened: string[] = [];
  for (let n = 0; n < streams; n++) {
    const client = await open(stack, senderAt(n));
    opened.push(client.session.id);
    await openStream(stack, client, (bytes) => {
      last = bytes as typeof last; // bytes are bytes
      if (--left === 0) all();
    });
  }
  const method = stack.broadcast === undefined ? "message" : "tools/list_changed";
  // What the streams begin with is none of it.
  await new Promise((resolve) => setTimeout(resolve, 100));
  return {
    async run() {
      const arrived = new Promise<void>((resolve) => all = resolve);
      left = streams;
      if (stack.broadcast !== undefined) stack.broadcast();
      else for (const id of opened) stack.notify?.(id);
      await arrived;
    },
    check() {
      const text = new TextDecoder().decode(last);
      assert.ok(text.includes(`"method":"notifications/${method}"`), text);
      assert.equal(left, 0);
    },
  };
}

/** How many sessions a kind of work begins with. */
export function sessionsOf(kind: KindName): number {
  return kindOf(kind).sessions ?? 0;
}
