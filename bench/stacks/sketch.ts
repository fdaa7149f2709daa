/**
 * The least that checks and bounds a session's calls as Mooring does: one function for one kind of request,
 * without streams, tasks, middleware, events or other nodes.
 *
 * @module
 */
import { systemClock } from "../../src/internal/clock.ts";
import { DelayLine } from "../../src/internal/delay_line.ts";
import { Slots } from "../../src/internal/slots.ts";
import { TurnQueue } from "../../src/internal/end_of_turn.ts";
import { PRINCIPALS } from "../messages.ts";
import { textResult, type Tool, toolsFor } from "../tools.ts";
import type { Stack, StackInit, StackModule } from "./types.ts";

const ORIGIN = "https://app.example";
const VERSION = "2025-11-25";
const MOST_BYTES = 1_048_576;
const JSON_HEADERS = { "content-type": "application/json" };

interface Message {
  readonly jsonrpc?: unknown;
  readonly id?: unknown;
  readonly method?: unknown;
  readonly params?: { readonly name?: unknown; readonly arguments?: unknown };
}

interface Session {
  readonly owner: string;
  readonly version: string;
  usedAt: number;
}

const owners = new Map(PRINCIPALS.map(({ id, authorization }) => [authorization, id]));

class Sketch implements Stack {
  readonly #tools: ReadonlyMap<string, Tool>;
  readonly #sessions = new Map<string, Session>();
  readonly #row = new TurnQueue();
  readonly #slots = new Slots(1_000, 100);
  readonly #bodies = new DelayLine(systemClock, 30_000);
  readonly #running = new Map<string, Set<unknown>>();
  #held = 0;

  constructor({ tools }: StackInit) {
    this.#tools = new Map(toolsFor(tools).map((tool) => [tool.name, tool]));
  }

  async answer(request: Request): Promise<Response> {
    if (!passesHead(request)) return refused();
    const text = await this.#read(request);
    await this.#row.next();
    const message: Message = JSON.parse(text);
    const { id, method, params } = message;
    const { headers } = request;
    const owner = owners.get(headers.get("authorization") ?? "");
    if (owner === undefined) return refused();
    if (method === "initialize") return this.#begin(message, owner);
    if (method !== "tools/call") return new Response(null, { status: 202 });
    const session = headers.get("mcp-session-id") ?? "";
    if (!this.#passesSession(session, owner, request) || !passesEnvelope(message)) return refused();
    const tool = this.#tools.get(String(params?.name));
    const args = tool?.input.safeParse(params?.arguments);
    if (tool === undefined || args?.success !== true) return refused();
    const said = this.#runBounded(session, owner, id, () => tool.run(args.data, () => {}));
    if (said === undefined) return refused();
    const result = textResult(typeof said === "string" ? said : await said);
    const json = JSON.stringify({ jsonrpc: "2.0", id, result });
    return new Response(json, { headers: JSON_HEADERS });
  }

  /** Reads the body from a budget, within a time. */
  async #read(request: Request): Promise<string> {
    const bytes = Number(request.headers.get("content-length"));
    this.#held += bytes;
    const wait = this.#bodies.add(() => {});
    try {
      return await request.text();
    } finally {
      wait.cancel();
      this.#held -= bytes;
    }
  }

  #passesSession(id: string, owner: string, { headers }: Request): boolean {
    const session = this.#sessions.get(id);
    if (session?.owner !== owner) return false;
    if (headers.get("mcp-protocol-version") !== session.version) return false;
    session.usedAt = Date.now();
    return true;
  }

  /** Runs a call in a slot of its owner, where a cancellation would find it. */
  #runBounded<T>(session: string, owner: string, id: unknown, run: () => T): T | undefined {
    let running = this.#running.get(session);
    if (running === undefined) this.#running.set(session, running = new Set());
    if (running.has(id) || !this.#slots.take(owner)) return undefined;
    running.add(id);
    try {
      return run();
    } finally {
      running.delete(id);
      this.#slots.give(owner);
    }
  }

  #begin({ id }: Message, owner: string): Response {
    const session = crypto.randomUUID();
    this.#sessions.set(session, { owner, version: VERSION, usedAt: Date.now() });
    const result = { protocolVersion: VERSION, capabilities: {}, serverInfo: { name: "bench" } };
    const headers = { ...JSON_HEADERS, "mcp-session-id": session };
    return new Response(JSON.stringify({ jsonrpc: "2.0", id, result }), { headers });
  }
}

function passesHead({ method, headers }: Request): boolean {
  const origin = headers.get("origin");
  if (origin !== null && origin !== ORIGIN) return false;
  if (method !== "POST" || headers.get("content-type") !== "application/json") return false;
  if (headers.get("accept")?.includes("application/json") !== true) return false;
  return Number(headers.get("content-length") ?? NaN) <= MOST_BYTES;
}

function passesEnvelope({ jsonrpc, id, method, params }: Message): boolean {
  return jsonrpc === "2.0" && typeof method === "string" &&
    (typeof id === "number" || typeof id === "string") &&
    typeof params === "object" && params !== null;
}

function refused(): Response {
  return new Response(null, { status: 400 });
}

/** The sketch. */
export const sketch: StackModule = {
  title: "sketch",
  kinds: [],
  make: (init) => {
    const made = new Sketch(init);
    return { answer: (request) => made.answer(request) };
  },
};
