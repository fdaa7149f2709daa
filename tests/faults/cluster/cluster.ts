/**
 * Three processes and a Redis, and what tests do to them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { JsonObject } from "../../../src/protocol/jsonrpc.ts";
import { runtime } from "../../runtimes/runtime.ts";
import { uniquePrefix } from "../../support/redis.ts";
import {
  as,
  type Fetch,
  initialize,
  type Peer,
  type PeerOptions,
  soon,
  URL_2025,
} from "../../support/wire.ts";
import { SENT_HEADER } from "./front.ts";
import { Line } from "./line.ts";
import type { EndpointName, NodeInit, Noted, Ports, Timed } from "./node.ts";

export type { Timed };

/** Headers that the runtimes' servers add. */
const OF_CONNECTION: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "date",
  "keep-alive",
  "transfer-encoding",
  "vary",
]);
const READY_MS = 30_000;
const PROGRAM = fileURLToPath(new URL("./node.ts", import.meta.url));
const BEFORE = runtime === "deno" ? ["run", "-A", "--no-check"] : [];

/** One process of a cluster. */
export class ClusterNode {
  readonly name: string;
  /** Its way to Redis. */
  readonly line: Line;
  readonly #child: ChildProcess;
  /** What was noted, and how often. */
  readonly #notes = new Map<string, number>();
  readonly #timed: Timed[] = [];
  /** The calls that use what is counted. */
  readonly #using = new Set<string>();
  readonly #exited: Promise<unknown>;
  #ports: Ports | undefined;
  #rest = "";
  #errors = "";
  #gone = false;

  private constructor(init: NodeInit, line: Line, program: string) {
    this.name = init.name;
    this.line = line;
    this.#child = spawn(process.execPath, [...BEFORE, program, JSON.stringify(init)], {
      stdio: ["pipe", "pipe", "pipe"],
      env: { ...process.env, NO_COLOR: "1" },
    });
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => this.#hear(text));
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => this.#errors += text);
    this.#exited = new Promise((resolve) => {
      this.#child.once("close", resolve);
      this.#child.once("exit", () => this.#gone = true);
    });
  }

  /**
   * Starts one, and waits until it serves.
   *
   * @param program The node's program, of this version unless another is given
   */
  static async start(
    init: Omit<NodeInit, "redis">,
    redis: URL,
    program = PROGRAM,
  ): Promise<ClusterNode> {
    const line = await Line.to(Number(redis.port || 6379));
    const url = new URL(redis);
    url.host = `127.0.0.1:${line.port}`;
    const node = new ClusterNode({ ...init, redis: url.href }, line, program);
    const late = Date.now() + READY_MS;
    while (node.#ports === undefined) {
      if (node.#gone || Date.now() > late) {
        await node.kill();
        throw new Error(`The node did not begin: ${node.#errors}`);
      }
      await pause(20);
    }
    return node;
  }

  /** Where one of its endpoints is. */
  target(endpoint: EndpointName): { readonly port: number } {
    const port = this.#ports?.[endpoint];
    assert.ok(port !== undefined);
    return { port };
  }

  /** How often something was noted of a call. */
  count(what: "ran" | "stopped" | "said", call: string): number {
    return this.#notes.get(`${what} ${call}`) ?? 0;
  }

  /** What was used of shares, and when. */
  get timed(): readonly Timed[] {
    return this.#timed;
  }

  /** Ends it at once, as `kill -9` does. */
  async kill(): Promise<void> {
    const at = Date.now();
    this.#signal("SIGKILL");
    await this.#exited;
    for (const call of this.#using) this.#timed.push({ what: "ended", call, at });
    await this.line.close();
  }

  /** Stops it in the middle of whatever it does, until it is resumed. */
  pause(): void {
    this.#signal("SIGSTOP");
  }

  /** Lets it go on. */
  resume(): void {
    this.#signal("SIGCONT");
  }

  /** Asks it to end, and waits until it has. */
  async drain(): Promise<void> {
    this.#signal("SIGTERM");
    await soon(this.#exited, "the node to end", 20_000);
    await this.line.close();
  }

  /** Whether it has ended. */
  get gone(): boolean {
    return this.#gone;
  }

  #signal(name: "SIGKILL" | "SIGTERM" | "SIGSTOP" | "SIGCONT"): void {
    const { pid } = this.#child;
    // Not the child's own kill(): under Deno that reports the signal as the child's end.
    if (pid !== undefined && !this.#gone) process.kill(pid, name);
  }

  #hear(text: string): void {
    const lines = `${this.#rest}${text}`.split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      const noted = JSON.parse(line) as Noted; // as the node writes it
      if ("ports" in noted) this.#ports = noted.ports;
      else if ("at" in noted) this.#take(noted);
      else {
        const note = `${noted.what} ${noted.call}`;
        this.#notes.set(note, (this.#notes.get(note) ?? 0) + 1);
      }
    }
  }

  #take(timed: Timed): void {
    this.#timed.push(timed);
    if (timed.what === "began") this.#using.add(timed.call);
    if (timed.what === "ended") this.#using.delete(timed.call);
  }
}

/** What all nodes of a cluster are told. */
type NodeOptions = Pick<NodeInit, "limits" | "pace" | "metered" | "long">;

/** Some nodes with one Redis. */
export class Cluster {
  /** How long running calls may take when a node ends that is added from now on. */
  graceMs = 1_000;
  #redis: URL;
  /** The beginning of all its keys. */
  readonly prefix: string = uniquePrefix();
  readonly #all: ClusterNode[] = [];
  readonly #options: NodeOptions;
  #named = 0;

  private constructor(redis: string, options: NodeOptions) {
    this.#redis = new URL(redis);
    this.#options = options;
  }

  /** Starts three nodes, or as many as are asked for. */
  static async start(redis: string, size = 3, options: NodeOptions = {}): Promise<Cluster> {
    const cluster = new Cluster(redis, options);
    try {
      await Promise.all(Array.from({ length: size }, () => cluster.add()));
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  /** The nodes that live. */
  get nodes(): readonly ClusterNode[] {
    return this.#all.filter(({ gone }) => !gone);
  }

  /** Adds a node, of this version unless the program of another is given. */
  async add(program?: string): Promise<ClusterNode> {
    const name = `node ${++this.#named}`;
    const node = await ClusterNode.start(
      { ...this.#options, name, prefix: this.prefix, graceMs: this.graceMs },
      this.#redis,
      program,
    );
    this.#all.push(node);
    return node;
  }

  /** Leads all nodes to another Redis, as an address does that moves from one server to the next. */
  redirect(redis: string): void {
    this.#redis = new URL(redis);
    for (const { line } of this.nodes) line.redirect(Number(this.#redis.port));
  }

  /** What was used of shares, and when, of all nodes, the dead ones too; each node's in order. */
  get timed(): readonly Timed[] {
    return this.#all.flatMap(({ timed }) => timed);
  }

  /** How often something was noted of a call, by all nodes, the dead ones too. */
  count(what: "ran" | "stopped" | "said", call: string): number {
    return this.#all.reduce((sum, node) => sum + node.count(what, call), 0);
  }

  /** Ends all that still lives. */
  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
  }
}

/** Sends requests to one address, whatever their URL says. */
export function to({ port }: { readonly port: number }): Fetch {
  return (request) => toUrl(`http://127.0.0.1:${port}/mcp`)(request);
}

/** What a copy was made of. Node's `fetch` cancels the body of a response that is garbage. */
const received = new WeakMap<Response, Response>();

/** Sends requests to a URL. */
export function toUrl(url: string): Fetch {
  return async (request) => {
    const { method, headers } = request;
    const body = method === "POST" ? await request.text() : undefined;
    headers.set(SENT_HEADER, crypto.randomUUID());
    const response = await fetch(url, { method, headers, body });
    // Bun's server ends an answer that is destroyed with an empty 200.
    if (response.status === 200 && !response.headers.has("content-type")) {
      throw new TypeError("The connection broke");
    }
    const kept = [...response.headers].filter(([name]) => !OF_CONNECTION.has(name));
    const copy = new Response(response.body, { status: response.status, headers: kept });
    received.set(copy, response);
    return copy;
  };
}

/** Alice's client, the same at each of some nodes. It shakes hands at the first. */
export async function aliceAt(
  nodes: readonly ClusterNode[],
  endpoint: EndpointName,
  options: PeerOptions & { readonly ready?: boolean } = {},
): Promise<Peer[]> {
  const [first = assert.fail("no node"), ...others] = nodes.map((node) =>
    to(node.target(endpoint))
  );
  const capabilities = { roots: {}, elicitation: { form: {} } };
  const peer = await initialize(first, { headers: as("alice"), capabilities, ...options });
  return [peer, ...others.map((fetch) => peer.with({ fetch }))];
}

/** Calls a tool that takes longer than a peer is patient. */
export async function callPatiently(
  peer: Peer,
  name: string,
  args: JsonObject,
  accept: string,
): Promise<Response> {
  const headers = {
    ...peer.headers,
    accept,
    "content-type": "application/json",
    "mcp-session-id": peer.sessionId ?? "",
  };
  const params = { name, arguments: args };
  const body = JSON.stringify({ jsonrpc: "2.0", id: name, method: "tools/call", params });
  return await peer.fetch(new Request(URL_2025, { method: "POST", headers, body }));
}

/** Waits until something holds. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string,
  ms = 5_000,
): Promise<void> {
  const late = Date.now() + ms;
  while (!await holds()) {
    if (Date.now() > late) throw new Error(`Waited ${ms} ms for ${what}`);
    await pause(20);
  }
}
