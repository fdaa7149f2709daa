/**
 * `mooring serve` on a disk that gets full, which a limit on the size of files stands for.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { COUNTER_LINE, Program } from "./program.ts";

const skip = spawnSync("prlimit", ["--version"]).status === 0
  ? false
  : "There is no prlimit to limit the size of files";
/** Runs a program that gets an error, and no signal, when a file is too large: as on a full disk. */
const UNLIMITED = ["bash", "-c", `trap '' XFSZ; exec "$@"`, "bash"];
/** The most sessions that are tried until the file is full: each takes some hundred bytes. */
const MOST_SESSIONS = 2_000;

function limit(pid: number, size: string): void {
  const { status, stderr } = spawnSync("prlimit", ["--pid", String(pid), `--fsize=${size}:`]);
  assert.equal(status, 0, String(stderr));
}

async function post(url: string, body: object, session?: string): Promise<Response> {
  return await fetch(url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      ...session !== undefined &&
        { "mcp-session-id": session, "mcp-protocol-version": "2025-11-25" },
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, ...body }),
  });
}

const open = (url: string) =>
  post(url, {
    method: "initialize",
    params: {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: "test", version: "1" },
    },
  });

test(
  "[DUR-27] a full disk: new sessions get a 503, those that are there go on, and it comes back",
  {
    skip,
  },
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "full-"));
    const args = ["serve", "--stdio", COUNTER_LINE, "--data", folder, "--port", "0"];
    const program = new Program([...args, "--log", "json"], {}, undefined, UNLIMITED);
    try {
      const url = await program.url();
      const first = await open(url);
      await first.text();
      const session = first.headers.get("mcp-session-id") ?? "";
      const count = async () => {
        const params = { name: "count", arguments: {} };
        const response = await post(url, { method: "tools/call", params }, session);
        return /"text":"(\d+)"/.exec(await response.text())?.[1];
      };
      assert.equal(await count(), "1");
      // What the file and its log have grown to: the next page is too much.
      limit(program.pid, "32768");
      let refused: Response | undefined;
      for (let n = 0; n < MOST_SESSIONS && refused === undefined; n++) {
        const response = await open(url);
        if (response.status !== 200) refused = response;
        else await response.text();
      }
      assert.equal(refused?.status, 503, "it never got full");
      assert.equal(refused.headers.get("retry-after"), "1");
      assert.match(await refused.text(), /try again/);
      assert.equal(await count(), "2");
      limit(program.pid, "unlimited");
      const again = await open(url);
      assert.equal(again.status, 200, await again.text());
      assert.equal(await count(), "3");
      program.signal("SIGTERM");
      assert.equal(await program.ended, 0, program.err);
    } finally {
      program.signal("SIGKILL");
      await program.ended;
      await rm(folder, { recursive: true });
    }
  },
);
