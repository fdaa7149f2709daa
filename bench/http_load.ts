/**
 * A process that sends requests over connections that stay open, one at a time on each, and measures
 * how long the answers take.
 *
 * @module
 */
import assert from "node:assert/strict";
import { connect, type Socket } from "node:net";
import process from "node:process";
import { createInterface } from "node:readline";
import { checkAnswer } from "./answers.ts";
import { open, senderAt } from "./client.ts";
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

const END_OF_CHUNKS = "\r\n0\r\n\r\n";

/** A connection that stays open. */
class Connection {
  readonly #socket: Socket;
  readonly #request: string;
  #received = "";
  #answered: ((text: string) => void) | undefined;
  #failed: ((error: Error) => void) | undefined;

  constructor(port: number, request: string) {
    this.#request = request;
    this.#socket = connect({ host: "127.0.0.1", port, noDelay: true });
    this.#socket.setEncoding("latin1");
    this.#socket.on("data", (text: string) => this.#receive(text));
    this.#socket.on("error", (error) => this.#failed?.(error));
    this.#socket.on("close", () => this.#failed?.(new Error("The server closed a connection")));
  }

  /** Sends the request and waits for the body of the answer. */
  ask(): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#answered = resolve;
      this.#failed = reject;
      this.#socket.write(this.#request);
    });
  }

  #receive(text: string): void {
    this.#received = this.#received === "" ? text : this.#received + text;
    const received = this.#received;
    const head = received.indexOf("\r\n\r\n");
    if (head === -1) return;
    const length = /\r\ncontent-length: *(\d+)/i.exec(received.slice(0, head));
    const whole = length === null
      ? received.endsWith(END_OF_CHUNKS)
      : received.length >= head + 4 + Number(length[1]);
    if (!whole) return;
    this.#received = "";
    this.#answered?.(received);
  }
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

async function forward(request: Request, port: number): Promise<Response> {
  const headers = new Headers(request.headers);
  for (const name of ["host", "content-length"]) headers.delete(name);
  const { method } = request;
  return await fetch(`http://127.0.0.1:${port}/mcp`, {
    method,
    headers,
    body: await request.text(),
  });
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
  const body = text.slice(text.indexOf("\r\n\r\n") + 4);
  checkAnswer("json", text.endsWith(END_OF_CHUNKS) ? joined(body) : body);
}

/** The body that came in chunks, each with its length in front. */
function joined(chunks: string): string {
  let body = "";
  let rest = chunks;
  for (let length = -1; length !== 0;) {
    const begin = rest.indexOf("\r\n") + 2;
    length = Number.parseInt(rest, 16);
    body += rest.slice(begin, begin + length);
    rest = rest.slice(begin + length + 2);
  }
  return body;
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
