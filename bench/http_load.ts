/**
 * A process that sends requests over connections that stay open, one at a time on each, and measures
 * how long the answers take.
 *
 * @module
 */
import assert from "node:assert/strict";
import process from "node:process";
import { createInterface } from "node:readline";
import { checkAnswer } from "./answers.ts";
import { open, senderAt } from "./client.ts";
import { bodyOf, Connection, forward } from "./connection.ts";
import { CALL, post, sessionHeaders } from "./messages.ts";
import type { StackModule } from "./stacks/types.ts";
import { loadStack, type StackName } from "./stacks/mod.ts";

/** What it is started with: the servers that take turns. */
export interface LoadInit {
  readonly connections: number;
  readonly servers: readonly { readonly stack: StackName; readonly port: number }[];
}

/** What it can be told: to send to one of the servers for so many milliseconds. */
export interface LoadOrder {
  readonly server: number;
  readonly ms: number;
}

/** What came of it. */
export interface Loaded {
  readonly requests: number;
  /** How long it really took, in milliseconds. */
  readonly ms: number;
  /** The time within which 99 % of the answers came, in milliseconds. */
  readonly p99: number;
}

/** Connections to one server, each with a session of its own where there are sessions. */
async function connections(
  { connections }: LoadInit,
  { stack, port }: LoadInit["servers"][number],
): Promise<Connection[]> {
  const module = await loadStack(stack);
  return await Promise.all(
    Array.from({ length: connections }, async (_, n) => {
      return new Connection(port, await requestFor(stack, module, port, n));
    }),
  );
}

async function requestFor(
  name: StackName,
  { acceptJson }: StackModule,
  port: number,
  n: number,
): Promise<string> {
  const sender = senderAt(n);
  const more: Record<string, string> = acceptJson === undefined ? {} : { accept: acceptJson };
  if (name === "floor") {
    Object.assign(more, sessionHeaders({ id: "x".repeat(32), version: "2025-11-25" }));
  } else {
    // What is known about sending requests to a server here serves for one elsewhere, too.
    const { session } = await open({ answer: (request) => forward(request, port) }, sender);
    Object.assign(more, sessionHeaders(session));
  }
  const { headers, body } = post(CALL, sender, { ...more, host: `127.0.0.1:${port}` });
  const lines = Object.entries(headers ?? {}).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST /mcp HTTP/1.1\r\n${lines.join("")}\r\n${body}`;
}

/** Sends requests on all connections for a while. */
async function load(connections: readonly Connection[], ms: number): Promise<Loaded> {
  const times: number[] = [];
  const begin = performance.now();
  let now = begin;
  await Promise.all(connections.map(async (connection) => {
    do {
      const sent = performance.now();
      await connection.ask();
      now = performance.now();
      times.push(now - sent);
    } while (now - begin < ms);
  }));
  times.sort((a, b) => a - b);
  return {
    requests: times.length,
    ms: now - begin,
    p99: times[Math.floor(times.length * 0.99)] ?? NaN,
  };
}

/** Checks one answer before any is timed. */
async function check([first]: readonly Connection[]): Promise<void> {
  const text = await first?.ask() ?? "";
  assert.match(text, /^HTTP\/1\.1 200 /);
  checkAnswer("json", bodyOf(text));
}

const init: LoadInit = JSON.parse(process.argv[2] ?? "null");
const groups = await Promise.all(init.servers.map((server) => connections(init, server)));
for (const group of groups) await check(group);
const say = (what: unknown): void => void process.stdout.write(`${JSON.stringify(what)}\n`);
say({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  const { server, ms }: LoadOrder = JSON.parse(line);
  say(await load(groups[server] ?? [], ms));
}
process.exit();
