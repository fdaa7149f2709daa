/**
 * A process that calls tools over connections that stay open, one call at a time on each, and measures
 * how long the answers take. No two calls have the same body.
 *
 * @module
 */
import assert from "node:assert/strict";
import process from "node:process";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { messagesIn } from "./answers.ts";
import { open, senderAt } from "./client.ts";
import { bodyOf, Connection, forward } from "./connection.ts";
import { callOf, modernHeaders, post, sessionHeaders, type ToolCall } from "./messages.ts";

/** How many headers a request has: what a call needs, what SDKs send, or what proxies and browsers add. */
export type Headers = "few" | "usual" | "many";

/** A server that is to be called. */
export interface Served {
  readonly port: number;
  /** The path of its endpoint. */
  readonly path?: string;
  /** What a client accepts that wants JSON; both forms when left out. */
  readonly accept?: string;
  /** Whether it is called in sessions, without (in which case any header will do), or in 2026-07-28. */
  readonly as: "session" | "floor" | "modern";
  readonly call: ToolCall;
  /** Matches the text of a result. */
  readonly expected: string;
}

/** What it is started with: the servers that take turns. */
export interface LoadInit {
  readonly connections: number;
  readonly headers: Headers;
  readonly servers: readonly Served[];
}

/** What it can be told: to call one of the servers for so many milliseconds. */
export interface LoadOrder {
  readonly server: number;
  readonly ms: number;
  /** The number of calls a second, spread evenly; as many as the server answers when left out. */
  readonly perSecond?: number;
}

/** What came of it. */
export interface Loaded {
  readonly requests: number;
  /** How long it really took, in milliseconds. */
  readonly ms: number;
  /** The time within which 99 % of the answers came, in milliseconds. */
  readonly p99: number;
}

/** The headers beyond those that a call needs. */
const MORE: Readonly<Record<Headers, Readonly<Record<string, string>>>> = {
  few: {},
  usual: { "accept-language": "*", "sec-fetch-mode": "cors", "accept-encoding": "gzip, deflate" },
  many: {
    "accept-language": "en-GB,en;q=0.9",
    "accept-encoding": "gzip, deflate, br, zstd",
    "sec-fetch-mode": "cors",
    "sec-fetch-site": "same-site",
    "sec-fetch-dest": "empty",
    "sec-ch-ua-platform": '"Linux"',
    "origin": "https://app.example",
    "referer": "https://app.example/chat",
    "cookie": "theme=dark; session=3f1d0c9a7b5e4d2f",
    "x-forwarded-for": "203.0.113.7",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "api.example",
    "x-request-id": "0d4c1f8e-6a1b-4a39-9d3e-5f0b7a2c8e11",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "via": "1.1 proxy.example",
    "priority": "u=1, i",
  },
};

/** Opens connections to one server, each with a session of its own where there are sessions. */
async function connections(
  { connections, headers }: LoadInit,
  served: Served,
): Promise<Connection[]> {
  return await Promise.all(
    Array.from({ length: connections }, async (_, n) => {
      const head = await headOf(served, headers, n);
      // No two connections send the same body.
      let sent = n;
      return new Connection(served.port, () => {
        sent += connections;
        const body = callOf(served.call, sent, served.as === "modern");
        return `${head}content-length: ${body.length}\r\n\r\n${body}`;
      });
    }),
  );
}

/** Returns a request without its length and its body. */
async function headOf(
  { port, path = "/mcp", accept, as, call }: Served,
  headers: Headers,
  n: number,
): Promise<string> {
  const sender = senderAt(n);
  const more: Record<string, string> = { host: `127.0.0.1:${port}`, ...MORE[headers] };
  if (accept !== undefined) more.accept = accept;
  if (as === "modern") Object.assign(more, modernHeaders(call.name));
  else Object.assign(more, sessionHeaders(await sessionAt(port, path, as, n)));
  const { "content-length": _, ...sent } = post("", sender, more).headers as Record<string, string>; // as post() makes them
  if (headers === "few") delete sent["user-agent"];
  const lines = Object.entries(sent).map(([name, value]) => `${name}: ${value}\r\n`);
  return `POST ${path} HTTP/1.1\r\n${lines.join("")}`;
}

async function sessionAt(
  port: number,
  path: string,
  as: "session" | "floor",
  n: number,
): Promise<{ readonly id: string; readonly version: string }> {
  if (as === "floor") return { id: "x".repeat(32), version: "2025-11-25" };
  // What is known about sending requests to a server here serves for one elsewhere, too.
  const { session } = await open(
    { answer: (request) => forward(request, port, path) },
    senderAt(n),
  );
  return session;
}

/** Calls on all connections for a while. */
async function load(
  connections: readonly Connection[],
  { ms, perSecond }: LoadOrder,
): Promise<Loaded> {
  for (const connection of connections) connection.renew();
  const times: number[] = [];
  const begin = performance.now();
  let now = begin;
  const ask = async (connection: Connection, from?: number): Promise<void> => {
    const sent = from ?? performance.now();
    await connection.ask();
    now = performance.now();
    times.push(now - sent);
  };
  await Promise.all(connections.map(async (connection, n) => {
    if (perSecond === undefined) {
      do await ask(connection); while (now - begin < ms);
      return;
    }
    const everyMs = connections.length / perSecond * 1000;
    for (let due = begin + n * everyMs / connections.length; due - begin < ms; due += everyMs) {
      const early = due - performance.now();
      if (early > 0) await pause(early);
      // A call that had to wait for the one before it has waited since it was due.
      await ask(connection, early > 0 ? undefined : due);
    }
  }));
  times.sort((a, b) => a - b);
  return {
    requests: times.length,
    ms: now - begin,
    p99: times[Math.floor(times.length * 0.99)] ?? NaN,
  };
}

/** Checks one answer of a server before any is timed. */
async function check([first]: readonly Connection[], expected: string): Promise<void> {
  const text = await first?.ask() ?? "";
  assert.match(text, /^HTTP\/1\.1 200 /);
  const answer = messagesIn(bodyOf(text)).at(-1);
  assert.equal(typeof answer?.id, "number", text);
  assert.match(String(answer?.result?.content?.[0]?.text), new RegExp(expected));
}

const init: LoadInit = JSON.parse(process.argv[2] ?? "null");
const groups = await Promise.all(init.servers.map((served) => connections(init, served)));
for (const [i, group] of groups.entries()) await check(group, init.servers[i]?.expected ?? "");
const say = (what: unknown): void => void process.stdout.write(`${JSON.stringify(what)}\n`);
say({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  const order: LoadOrder = JSON.parse(line);
  say(await load(groups[order.server] ?? [], order));
}
process.exit();
