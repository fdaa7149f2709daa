/**
 * A process with one or more nodes on Redis, or one without: calls tools, counts round trips, sends
 * events. Does what it is told on its standard input.
 *
 * @module
 */
import assert from "node:assert/strict";
import process from "node:process";
import { createInterface } from "node:readline";
import { redisStore } from "../src/redis/mod.ts";
import { checkAnswer } from "./answers.ts";
import { open, type Opened, openStream, senderAt } from "./client.ts";
import { cpuTime } from "./cpu_time.ts";
import { CALLERS } from "./kinds.ts";
import { CALL, ENDPOINT, post, sessionHeaders } from "./messages.ts";
import { median } from "./pairs.ts";
import { connectRedis, counting, type CountingClient } from "./redis_client.ts";
import { mooring } from "./stacks/mooring.ts";
import type { Stack, StackInit } from "./stacks/types.ts";

/** What it is started with. */
export interface RedisInit {
  /** How many nodes share the Redis; 0 for one that keeps everything in memory. */
  readonly nodes: number;
  readonly prefix: string;
}

/** What it can be told. */
export type RedisOrder =
  /** Calls for so many milliseconds, so many calls at a time, at each node in turn. */
  | { readonly do: "calls"; readonly ms: number; readonly lanes: number }
  /** Counts what calls send to Redis, and how often they wait for it. */
  | { readonly do: "count"; readonly calls: number }
  /** Sends events on one stream at each node in turn, so many at once. */
  | { readonly do: "events"; readonly ms: number; readonly lanes: number };

/** What came of a slice. */
export interface Sliced {
  readonly ops: number;
  readonly ms: number;
  /** Milliseconds of processor time of the JavaScript thread. */
  readonly cpuMs: number;
}

/** What calls need Redis for. */
export interface Counts {
  /** Commands for each call, those included that nobody waits for. */
  readonly commands: number;
  /** How often a call waits for Redis, one round trip after the other. */
  readonly waits: number;
}

/** How far away Redis is while waits are counted, in milliseconds: far beyond what a call takes. */
const FAR_MS = 40;

const init: RedisInit = JSON.parse(process.argv[2] ?? "null");
const clients: CountingClient[] = [];
const stacks: Stack[] = await Promise.all(
  Array.from({ length: Math.max(1, init.nodes) }, async () => {
    const all: StackInit = { kind: "json", tools: 3, room: 0 };
    if (init.nodes === 0) return await mooring.make(all);
    const counted = counting(await connectRedis());
    clients.push(counted);
    const store = redisStore({ client: counted.client, prefix: init.prefix });
    return await mooring.make({ ...all, store });
  }),
);
let turn = 0;

/** Each session comes to each node. */
function nodeFor(n: number): Stack {
  const stack = stacks[(n + Math.floor(n / CALLERS)) % stacks.length];
  assert.ok(stack);
  return stack;
}

const callers: Opened[] = [];
for (let n = 0; n < CALLERS; n++) callers.push(await open(nodeFor(n), senderAt(n)));
const requests = callers.map(({ session, sender }) => post(CALL, sender, sessionHeaders(session)));

async function call(): Promise<void> {
  const n = turn++;
  const response = await nodeFor(n).answer(new Request(ENDPOINT, requests[n % CALLERS]));
  const text = await response.text();
  assert.equal(response.status, 200, text);
  checkAnswer("json", text);
}

/** The session with the stream that events go to, at the first node. */
let streaming: Promise<string> | undefined;
let left = 0;
let all = () => {};

async function beginStream(): Promise<string> {
  const [first] = stacks;
  assert.ok(first);
  const opened = await open(first, senderAt(CALLERS));
  const decoder = new TextDecoder();
  await openStream(first, opened, (bytes) => {
    const text = decoder.decode(bytes, { stream: true });
    left -= text.split("notifications/message").length - 1;
    if (left <= 0) all();
  });
  return opened.session.id;
}

/** Sends some events at once, and waits until all have come out. */
async function burst(events: number): Promise<void> {
  const session = await (streaming ??= beginStream());
  left = events;
  const arrived = new Promise<void>((resolve) => all = resolve);
  const sent = Array.from(
    { length: events },
    () => stacks[turn++ % stacks.length]?.notify?.(session),
  );
  assert.ok((await Promise.all(sent)).every((there) => there === true));
  await arrived;
  assert.equal(left, 0);
}

/** Does something for a while, several at a time. */
async function slice(run: () => Promise<void>, ms: number, lanes: number): Promise<Sliced> {
  const begin = performance.now();
  const cpu = cpuTime();
  let ops = 0;
  await Promise.all(Array.from({ length: lanes }, async () => {
    while (performance.now() - begin < ms) {
      await run();
      ops++;
    }
  }));
  return { ops, ms: performance.now() - begin, cpuMs: cpuTime() - cpu };
}

async function count(calls: number): Promise<Counts> {
  const sent = () => clients.reduce((sum, client) => sum + client.sent, 0);
  const before = sent();
  for (let n = 0; n < calls; n++) await call();
  const commands = (sent() - before) / calls;
  const waits: number[] = [];
  for (const client of clients) client.delayMs = FAR_MS;
  for (let n = 0; n < 2 * CALLERS; n++) {
    const begin = performance.now();
    await call();
    waits.push(Math.floor((performance.now() - begin) / FAR_MS));
  }
  for (const client of clients) client.delayMs = 0;
  return { commands, waits: median(waits) };
}

async function events(ms: number, lanes: number): Promise<Sliced> {
  const bursts = await slice(() => burst(lanes), ms, 1);
  return { ...bursts, ops: bursts.ops * lanes };
}

function obey(order: RedisOrder): Promise<Sliced | Counts> {
  if (order.do === "count") return count(order.calls);
  if (order.do === "events") return events(order.ms, order.lanes);
  return slice(call, order.ms, order.lanes);
}

const say = (what: unknown): void => void process.stdout.write(`${JSON.stringify(what)}\n`);
say({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  say(await obey(JSON.parse(line)));
}
process.exit();
