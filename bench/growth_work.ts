/**
 * A process that calls one server of a given size, and tells how long a call takes.
 *
 * @module
 */
import assert from "node:assert/strict";
import process from "node:process";
import { createInterface } from "node:readline";
import { messagesIn } from "./answers.ts";
import { open, type Opened, openStream, senderAt } from "./client.ts";
import { cpuTime } from "./cpu_time.ts";
import { callOf, ENDPOINT, post, sessionHeaders } from "./messages.ts";
import { loadStack, type StackName } from "./stacks/mod.ts";

/** The number of sessions that call in turn. */
const CALLERS = 10;

/** The size of a server and of its calls. */
export interface GrowthInit {
  readonly stack: StackName;
  readonly sessions: number;
  readonly streams: number;
  readonly tools: number;
  /** The number of characters of the argument, and of the result. */
  readonly chars: number;
}

/** What a slice came to. */
export interface Grown {
  readonly ops: number;
  /** Milliseconds of processor time. */
  readonly cpuMs: number;
}

const init: GrowthInit = JSON.parse(process.argv[2] ?? "null");
const module = await loadStack(init.stack);
const count = Math.max(CALLERS, init.sessions, init.streams);
const stack = await module.make({ kind: "json", tools: init.tools, room: count + 1000 });
const bare = init.stack === "floor";
const callers: Opened[] = [];
for (let n = 0; n < (bare ? CALLERS : count); n++) {
  const sender = senderAt(n);
  const opened = bare
    ? { sender, session: { id: "x".repeat(32), version: "2025-11-25" } }
    : await open(stack, sender);
  if (n < init.streams && !bare) await openStream(stack, opened, () => {});
  // They are spread evenly over all.
  if (n % Math.floor(count / CALLERS) === 0 && callers.length < CALLERS) callers.push(opened);
}
const text = "x".repeat(Math.max(0, init.chars - 10));
let turn = 0;

async function call(): Promise<{ readonly response: Response; readonly n: number }> {
  const n = ++turn;
  const caller = callers[n % callers.length];
  assert.ok(caller);
  const name = init.chars > 0 ? "echo" : "add";
  const args = init.chars > 0 ? { text: `${text}${n}` } : { a: n, b: 3 };
  const body = callOf({ name, arguments: args }, n);
  const request = post(body, caller.sender, {
    ...sessionHeaders(caller.session),
    ...module.acceptJson !== undefined && { accept: module.acceptJson },
  });
  return { response: await stack.answer(new Request(ENDPOINT, request)), n };
}

async function slice(ms: number): Promise<Grown> {
  const until = performance.now() + ms;
  const begin = cpuTime();
  let ops = 0;
  let last = "";
  let n = 0;
  do {
    const called = await call();
    n = called.n;
    last = await called.response.text();
    ops++;
  } while (performance.now() < until);
  const cpuMs = cpuTime() - begin;
  const answer = messagesIn(last).at(-1);
  assert.equal(answer?.id, n, last.slice(0, 500));
  const expected = init.chars > 0 ? `${text}${n}` : `${n + 3}`;
  assert.equal(answer?.result?.content?.[0]?.text, expected);
  return { ops, cpuMs };
}

const say = (what: unknown): void => void process.stdout.write(`${JSON.stringify(what)}\n`);
say({ ready: true });
for await (const line of createInterface({ input: process.stdin })) say(await slice(Number(line)));
process.exit();
