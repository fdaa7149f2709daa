/**
 * A server with a SQLite file at one port, which tests kill and start again.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("./server.ts", import.meta.url));
const BEFORE = "Deno" in globalThis ? ["run", "-A", "--no-check", "--quiet"] : [];
const START_MS = 30_000;

/** A process that is killed and started again, at one port. */
export class Restarted {
  readonly #folder: string;
  #child: ChildProcess | undefined;
  port = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  get effects(): string {
    return join(this.#folder, "effects");
  }

  async start(): Promise<void> {
    const args = [
      ...BEFORE,
      PROGRAM,
      join(this.#folder, "data.sqlite"),
      String(this.port),
      this.effects,
    ];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    let output = "";
    this.port = await new Promise<number>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`Not started: ${output}`)), START_MS);
      const look = (chunk: unknown): void => {
        output += String(chunk);
        const port = output.match(/^port (\d+)$/m)?.[1];
        if (port === undefined) return;
        clearTimeout(timer);
        resolve(Number(port));
      };
      child.stdout.on("data", look);
      child.stderr.on("data", look);
      child.once("exit", () => {
        clearTimeout(timer);
        reject(new Error(`Ended: ${output}`));
      });
    });
  }

  /** Ends the process without a chance to store anything. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await ended;
  }

  request(
    init: RequestInit & { readonly user?: string; readonly session?: string },
  ): Promise<Response> {
    const { user = "ada", session, headers, ...rest } = init;
    return fetch(`http://127.0.0.1:${this.port}/mcp`, {
      ...rest,
      headers: {
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        "mcp-protocol-version": "2025-11-25",
        "x-user": user,
        ...session !== undefined && { "mcp-session-id": session },
        ...headers as Record<string, string>,
      },
    });
  }

  async open(user: string): Promise<string> {
    const params = {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: "test", version: "1" },
    };
    const body = JSON.stringify({ jsonrpc: "2.0", id: 0, method: "initialize", params });
    const response = await this.request({ method: "POST", body, user });
    await response.text();
    const session = response.headers.get("mcp-session-id") ?? "";
    const note = JSON.stringify({ jsonrpc: "2.0", method: "notifications/initialized" });
    assert.equal((await this.request({ method: "POST", body: note, user, session })).status, 202);
    return session;
  }

  call(user: string, session: string, id: number, name: string, args = {}): Promise<Response> {
    const params = { name, arguments: args };
    const body = JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params });
    return this.request({ method: "POST", body, user, session });
  }

  async count(user: string, session: string, id: number, key = "x"): Promise<string> {
    const response = await this.call(user, session, id, "count", { key });
    const text = await response.text();
    assert.equal(response.status, 200, text);
    const data = text.startsWith("{") ? text : text.match(/^data: (\{.*"id".*)$/m)?.[1] ?? "";
    return JSON.parse(data).result.content[0].text;
  }
}

/** Reads events of a stream until one fits, and returns the id of the last. */
export async function readUntil(
  response: Response,
  fits: (data: string) => boolean,
): Promise<{ readonly lastId: string; readonly data: string }> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader(); // a stream has a body
  let text = "";
  let seen = "";
  let lastId = "";
  for (let chunks = 0; chunks < 1_000; chunks++) {
    const { value, done } = await reader.read();
    if (done) break;
    text += value;
    seen += value;
    const events = text.split("\n\n");
    text = events.pop() ?? "";
    for (const event of events) {
      lastId = event.match(/^id: (.*)$/m)?.[1] ?? lastId;
      const data = event.match(/^data: (.*)$/m)?.[1] ?? "";
      if (!fits(data)) continue;
      await reader.cancel();
      return { lastId, data };
    }
  }
  throw new Error(`The stream ended without it: ${seen}`);
}
