/**
 * The way from the floor to Mooring in steps: each rung does what the one before it does, and one thing
 * more. The difference between two rungs is what that thing costs.
 *
 * @module
 */
import { systemClock } from "../../src/internal/clock.ts";
import { DelayLine } from "../../src/internal/delay_line.ts";
import { Slots } from "../../src/internal/slots.ts";
import { TurnQueue } from "../../src/internal/turn_queue.ts";
import { PRINCIPALS } from "../messages.ts";
import { textResult, type Tool, toolsFor } from "../tools.ts";
import type { Stack, StackInit, StackModule } from "./types.ts";

const ORIGIN = "https://app.example";
const VERSION = "2025-11-25";
const MOST_BYTES = 1_048_576;
const JSON_HEADERS = { "content-type": "application/json" };

/** The rungs above the floor, the lowest first. */
export const RUNGS = ["row", "head", "session", "schema", "bounds"] as const;

/** The name of a rung. */
export type Rung = typeof RUNGS[number];

/** What each rung adds to the one before it. */
export const RUNG_TITLES: Readonly<Record<Rung, string>> = {
  row: "+ what arrives together in a row",
  head: "+ origin, method, media types, length",
  session: "+ token, session, owner, version",
  schema: "+ JSON-RPC envelope, zod",
  bounds: "+ shares, body budget, time limits, cancellation",
};

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

/** The state of a server, and the steps of its rung. */
class Ladder implements Stack {
  readonly #tools: ReadonlyMap<string, Tool>;
  readonly #sessions = new Map<string, Session>();
  readonly #row = new TurnQueue();
  readonly #slots = new Slots(1_000, 100);
  readonly #bodies = new DelayLine(systemClock, 30_000);
  readonly #running = new Map<string, Set<unknown>>();
  readonly #level: number;
  #held = 0;

  constructor({ tools }: StackInit, rung: Rung) {
    this.#tools = new Map(toolsFor(tools).map((tool) => [tool.name, tool]));
    this.#level = RUNGS.indexOf(rung);
  }

  async answer(request: Request): Promise<Response> {
    const level = this.#level;
    if (level >= 1 && !passesHead(request)) return refused();
    const text = await this.#read(request);
    await this.#row.next();
    const message: Message = JSON.parse(text);
    const { id, method, params } = message;
    const { headers } = request;
    const owner = level >= 2 ? owners.get(headers.get("Authorization") ?? "") : "";
    if (owner === undefined) return refused();
    if (method === "initialize") return this.#begin(message, owner);
    if (method !== "tools/call") return new Response(null, { status: 202 });
    const session = headers.get("Mcp-Session-Id") ?? "";
    if (level >= 2 && !this.#passesSession(session, owner, request)) return refused();
    if (level >= 3 && !passesEnvelope(message)) return refused();
    const tool = this.#tools.get(String(params?.name));
    if (tool === undefined) return refused();
    const args = level >= 3 ? tool.input.safeParse(params?.arguments) : undefined;
    if (args?.success === false) return refused();
    const run = () => tool.run(args === undefined ? params?.arguments : args.data, () => {});
    const said = level >= 4 ? this.#runBounded(session, owner, id, run) : run();
    if (said === undefined) return refused();
    const result = textResult(typeof said === "string" ? said : await said);
    const json = JSON.stringify({ jsonrpc: "2.0", id, result });
    return new Response(json, { headers: JSON_HEADERS });
  }

  /** Reads the body; from a budget and within a time where there are bounds. */
  async #read(request: Request): Promise<string> {
    if (this.#level < 4) return await request.text();
    const bytes = Number(request.headers.get("Content-Length"));
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
    if (headers.get("MCP-Protocol-Version") !== session.version) return false;
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
  const origin = headers.get("Origin");
  if (origin !== null && origin !== ORIGIN) return false;
  if (method !== "POST" || headers.get("Content-Type") !== "application/json") return false;
  if (headers.get("Accept")?.includes("application/json") !== true) return false;
  return Number(headers.get("Content-Length") ?? NaN) <= MOST_BYTES;
}

function passesEnvelope({ jsonrpc, id, method, params }: Message): boolean {
  return jsonrpc === "2.0" && typeof method === "string" &&
    (typeof id === "number" || typeof id === "string") &&
    typeof params === "object" && params !== null;
}

function refused(): Response {
  return new Response(null, { status: 400 });
}

/** Returns one rung. */
export function rungOf(name: Rung): StackModule {
  return {
    title: RUNG_TITLES[name],
    kinds: ["http"],
    make: (init) => {
      const ladder = new Ladder(init, name);
      return { answer: (request) => ladder.answer(request) };
    },
  };
}
