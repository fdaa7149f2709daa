/**
 * A process in which clients of the shop begin, list the tools, call them, and end, over and over, each over
 * a connection of its own.
 *
 * @module
 */
import assert from "node:assert/strict";
import process from "node:process";
import { createInterface } from "node:readline";
import { messagesIn } from "../answers.ts";
import { bodyOf, Connection } from "../connection.ts";
import { INITIALIZE, INITIALIZED, LIST, PRINCIPALS } from "../messages.ts";
import type { ShopName } from "./server.ts";
import { TERMS } from "./tools.ts";

/** What it is started with: the servers that take turns. */
export interface ShopLoadInit {
  readonly clients: number;
  readonly servers: readonly { readonly name: ShopName; readonly port: number }[];
}

/** What it can be told: to use one of the servers for so many milliseconds. */
export interface ShopLoadOrder {
  readonly server: number;
  readonly ms: number;
}

/** What came of it. */
export interface ShopLoaded {
  /** The calls of tools that were answered. */
  readonly calls: number;
  /** How long it took, in milliseconds. */
  readonly ms: number;
  /** The median of the latency of calls, in milliseconds. */
  readonly p50: number;
  /** The 99th percentile of the latency of calls, in milliseconds. */
  readonly p99: number;
}

/** The calls of a session. */
const CALLS = 20;

interface Call {
  readonly name: string;
  readonly args: object;
  readonly expected: RegExp;
}

/** The calls that a client makes: it searches, fills its cart, and asks what shipping costs. */
function callAt(n: number, cart: string): Call {
  const step = n % 3;
  if (step === 0) {
    return { name: "find_products", args: { term: `t${n % TERMS}` }, expected: /^p\d+: Product/ };
  }
  if (step === 1) {
    const args = { cart, product: `p${n % 7}`, quantity: 1 + n % 3 };
    return { name: "add_to_cart", args, expected: / of p/ };
  }
  return { name: "quote_shipping", args: { cart, country: "FR" }, expected: / EUR, 3 days$/ };
}

/** A client, with its connection. */
class Client {
  readonly #name: ShopName;
  readonly #port: number;
  readonly #n: number;
  readonly #connection: Connection;
  #request = "";
  #session = "";
  #version = "";
  #id = 0;
  #carts = 0;

  constructor(name: ShopName, port: number, n: number) {
    this.#name = name;
    this.#port = port;
    this.#n = n;
    this.#connection = new Connection(port, () => this.#request);
  }

  /** Works for a while, a whole session at a time, and adds the times of its calls. */
  async work(until: number, times: number[]): Promise<void> {
    this.#connection.renew();
    do {
      const cart = `${this.#name}-${this.#n}-${this.#carts++ % 100}`;
      await this.#begin();
      for (let n = 0; n < CALLS && performance.now() < until; n++) {
        const call = callAt(n + this.#n, cart);
        const begin = performance.now();
        const answer = await this.#call(call);
        times.push(performance.now() - begin);
        assert.match(answer, call.expected);
      }
      await this.#end();
    } while (performance.now() < until);
  }

  async #begin(): Promise<void> {
    if (this.#name === "plain") return void await this.#ask("GET", "/tools", "", 200);
    this.#session = "";
    const begun = await this.#ask("POST", "/mcp", INITIALIZE, 200);
    this.#session = /\r\nmcp-session-id: *(\S+)/i.exec(begun)?.[1] ?? "";
    assert.notEqual(this.#session, "");
    this.#version = String(messagesIn(bodyOf(begun)).at(-1)?.result?.protocolVersion);
    await this.#ask("POST", "/mcp", INITIALIZED, 202);
    await this.#ask("POST", "/mcp", LIST, 200);
  }

  async #call({ name, args }: Call): Promise<string> {
    if (this.#name === "plain") {
      const answer = await this.#ask("POST", `/tools/${name}`, JSON.stringify(args), 200);
      return JSON.parse(bodyOf(answer)).text;
    }
    const params = { name, arguments: args };
    const message = { jsonrpc: "2.0", id: ++this.#id, method: "tools/call", params };
    const answer = await this.#ask("POST", "/mcp", JSON.stringify(message), 200);
    return String(messagesIn(bodyOf(answer)).at(-1)?.result?.content?.[0]?.text);
  }

  async #end(): Promise<void> {
    if (this.#name !== "plain") await this.#ask("DELETE", "/mcp", "", undefined);
  }

  async #ask(method: string, path: string, body: string, status: number | undefined) {
    const lines = [
      `${method} ${path} HTTP/1.1`,
      `host: 127.0.0.1:${this.#port}`,
      "user-agent: shop",
      `authorization: ${PRINCIPALS[this.#n]?.authorization}`,
      "accept: application/json, text/event-stream",
      "accept-language: *",
      "accept-encoding: gzip, deflate",
    ];
    if (this.#session !== "") {
      lines.push(`mcp-session-id: ${this.#session}`, `mcp-protocol-version: ${this.#version}`);
    }
    if (method === "POST") {
      lines.push("content-type: application/json", `content-length: ${body.length}`);
    }
    this.#request = `${lines.join("\r\n")}\r\n\r\n${body}`;
    const answer = await this.#connection.ask();
    const answered = Number(answer.slice(9, 12));
    assert.ok(status === undefined ? answered < 300 : answered === status, answer);
    return answer;
  }
}

async function load(clients: readonly Client[], ms: number): Promise<ShopLoaded> {
  const times: number[] = [];
  const begin = performance.now();
  await Promise.all(clients.map((client) => client.work(begin + ms, times)));
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor(times.length * share)] ?? NaN;
  return { calls: times.length, ms: performance.now() - begin, p50: at(0.5), p99: at(0.99) };
}

async function main({ clients, servers }: ShopLoadInit): Promise<void> {
  const groups = servers.map(({ name, port }) =>
    Array.from({ length: clients }, (_, n) => new Client(name, port, n))
  );
  const say = (what: unknown): void => void process.stdout.write(`${JSON.stringify(what)}\n`);
  say({ ready: true });
  for await (const line of createInterface({ input: process.stdin })) {
    const { server, ms }: ShopLoadOrder = JSON.parse(line);
    say(await load(groups[server] ?? [], ms));
  }
  process.exit();
}

if (import.meta.main) await main(JSON.parse(process.argv[2] ?? "null"));
