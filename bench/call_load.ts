/**
 * A process that calls tools over connections that stay open, all in one session with each server, and
 * measures how long the answers take.
 *
 * @module
 */
import assert from "node:assert/strict";
import process from "node:process";
import { createInterface } from "node:readline";
import { messagesIn } from "./answers.ts";
import { open, senderAt } from "./client.ts";
import { bodyOf, Connection, forward } from "./connection.ts";
import { post, sessionHeaders } from "./messages.ts";
import { median } from "./pairs.ts";

/** What it is started with: where servers listen. */
export interface CallLoadInit {
  readonly ports: readonly number[];
}

/** What it can be told: to call a tool at one of the servers, so many calls at a time. */
export interface CallLoadOrder {
  readonly server: number;
  readonly tool: string;
  readonly lanes: number;
  readonly ms: number;
}

/** What came of it. */
export interface Called {
  readonly requests: number;
  /** How long it really took, in milliseconds. */
  readonly ms: number;
  /** The median of the latency, in milliseconds. */
  readonly p50: number;
}

const init: CallLoadInit = JSON.parse(process.argv[2] ?? "null");
const sender = senderAt(0);
const sessions = await Promise.all(init.ports.map(async (port) => {
  const { session } = await open({ answer: (request) => forward(request, port) }, sender);
  return { port, session, connections: new Map<string, readonly Connection[]>() };
}));

/** Connections for calls of a tool of a server, each tried once. Servers close those that are idle. */
async function connectionsFor(
  { server, tool, lanes }: CallLoadOrder,
): Promise<readonly Connection[]> {
  const found = sessions[server];
  assert.ok(found);
  const { port, session, connections } = found;
  const there = connections.get(`${tool} ${lanes}`);
  if (there?.every(({ closed }) => !closed)) return there;
  const made = Array.from({ length: lanes }, (_, n) => {
    // In one session no two requests that are under way may have the same id.
    const params = { name: tool, arguments: { a: 2, b: 3 } };
    const body = JSON.stringify({ jsonrpc: "2.0", id: n + 1, method: "tools/call", params });
    const { headers } = post(body, sender, {
      ...sessionHeaders(session),
      host: `127.0.0.1:${port}`,
    });
    const lines = Object.entries(headers ?? {}).map(([name, value]) => `${name}: ${value}\r\n`);
    const request = `POST /mcp HTTP/1.1\r\n${lines.join("")}\r\n${body}`;
    return new Connection(port, () => request);
  });
  connections.set(`${tool} ${lanes}`, made);
  for (const [n, connection] of made.entries()) check(await connection.ask(), n + 1);
  return made;
}

/** Checks an answer. */
function check(text: string, id: number): void {
  assert.match(text, /^HTTP\/1\.1 200 /);
  const answer = messagesIn(bodyOf(text)).at(-1);
  assert.equal(answer?.id, id, text);
  assert.deepEqual(answer?.result?.content, [{ type: "text", text: "5" }]);
}

/** Calls for a while. */
async function load(order: CallLoadOrder): Promise<Called> {
  const { ms } = order;
  const connections = await connectionsFor(order);
  const times: number[] = [];
  const begin = performance.now();
  let now = begin;
  await Promise.all(connections.map(async (connection, n) => {
    let last = "";
    do {
      const sent = performance.now();
      last = await connection.ask();
      now = performance.now();
      times.push(now - sent);
    } while (now - begin < ms);
    check(last, n + 1);
  }));
  return { requests: times.length, ms: now - begin, p50: median(times) };
}

const say = (what: unknown): void => void process.stdout.write(`${JSON.stringify(what)}\n`);
say({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  say(await load(JSON.parse(line)));
}
process.exit();
