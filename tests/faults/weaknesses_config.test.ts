/**
 * Weaknesses that were published about programs that are started as a configuration says.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { splitArgv } from "../../src/cli/config/argv_split.ts";
import { Routes, type Servers } from "../../src/cli/serve/routes.ts";
import { Child } from "../../src/gateway/upstreams/child.ts";
import { type Gateway, gateway, stdio, type Upstream } from "../../src/gateway/mod.ts";
import { checkStdioOptions, type StdioUpstreamOptions } from "../../src/gateway/upstreams/stdio.ts";
import { systemClock } from "../../src/internal/clock.ts";

/** A gateway as the servers of a command. */
function gatewayServers(gw: Gateway): Servers {
  return { all: gw, names: () => gw.names(), only: (name) => gw.only(name) };
}

/** What a program that was started as an option says wrote to its stdout. */
async function outputOf(options: StdioUpstreamOptions): Promise<string> {
  const decoder = new TextDecoder();
  let output = "";
  const { promise, resolve } = Promise.withResolvers<void>();
  const child = await Child.start({
    ...checkStdioOptions(options),
    clock: systemClock,
    onStdout: (chunk) => output += decoder.decode(chunk, { stream: true }),
    onStderr: () => {},
    onExit: () => resolve(),
  });
  await promise;
  await child.close();
  return output;
}

describe("CVE-2026-30623: commands from a configuration", () => {
  // What stood in a configuration was handed to a shell, so that whoever could write a name, an argument
  // or a variable into it could run whatever they liked.
  const inject = (file: string): readonly string[] => [
    `; touch ${file}`,
    `$(touch ${file})`,
    `\`touch ${file}\``,
    `| touch ${file}`,
    `&& touch ${file}`,
    `\n touch ${file}\n`,
    `'; touch ${file}; '`,
    `"; touch ${file}; "`,
    `> ${file}`,
    "$HOME",
    "*",
    "%PATH%",
    "",
  ];

  /** Does something with the name of a file that nothing may make. */
  async function withMarker(act: (file: string) => Promise<void>): Promise<void> {
    const folder = await mkdtemp(join(tmpdir(), "weakness-"));
    const file = join(folder, "marker");
    try {
      await act(file);
      assert.equal(existsSync(file), false, "a shell ran");
    } finally {
      await rm(folder, { recursive: true });
    }
  }

  test("[GTW-7] CVE-2026-30623 an argument reaches the program as it stands, whatever it is", async () => {
    await withMarker(async (file) => {
      const args = inject(file);
      const output = await outputOf({ command: "printf", args: ["<%s>", ...args] });
      assert.equal(output, args.map((arg) => `<${arg}>`).join(""));
    });
  });

  test("[GTW-7] CVE-2026-30623 a command is the name of a program, whatever it is", async () => {
    await withMarker(async (file) => {
      for (const text of inject(file)) {
        for (const command of [`true${text}`, text]) {
          if (command === "true") continue;
          await assert.rejects(async () => await outputOf({ command }), Error);
        }
      }
    });
  });

  test("[GTW-7] CVE-2026-30623 a variable is its value, and none of this process's own is handed on", async () => {
    process.env["MOORING_TEST_SECRET"] = "hunter2";
    try {
      await withMarker(async (file) => {
        const [first = "", second = ""] = inject(file);
        const output = await outputOf({ command: "env", env: { ONE: first, TWO: second } });
        assert.ok(output.includes(`ONE=${first}\n`) && output.includes(`TWO=${second}\n`));
        assert.doesNotMatch(output, /hunter2/);
      });
    } finally {
      delete process.env["MOORING_TEST_SECRET"];
    }
  });

  test("[GTW-7] CVE-2026-30623 no request names a command, an argument, a variable or a folder", async () => {
    await withMarker(async (file) => {
      const opened: unknown[] = [];
      const real = stdio({ command: "false" });
      const up: Upstream = {
        ...real,
        open(init) {
          opened.push(Object.keys(init).sort());
          return real.open(init);
        },
      };
      const gw = gateway({ upstreams: { up } });
      const routes = new Routes({
        servers: gatewayServers(gw),
        path: "/mcp",
        options: () => ({}),
        resource: () => undefined,
        report: () => {},
      });
      const evil = { command: "touch", args: [file], env: { PATH: "/" }, cwd: "/", shell: true };
      const query = `command=touch&args=${encodeURIComponent(file)}&env=PATH&cwd=/`;
      const headers = {
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "x-mcp-command": `touch ${file}`,
        "x-custom-env": "PATH=/",
      };
      const info = { name: "x", version: "1", ...evil };
      const params = { protocolVersion: "2025-11-25", capabilities: { ...evil }, clientInfo: info };
      for (const path of ["/mcp", "/servers/up", `/servers/touch%20${encodeURIComponent(file)}`]) {
        for (
          const message of [
            { method: "initialize", params: { ...params, ...evil, _meta: evil } },
            { method: "servers/add", params: { name: "evil", ...evil } },
            { method: "config/set", params: { mcpServers: { evil } } },
          ]
        ) {
          const body = JSON.stringify({ jsonrpc: "2.0", id: 1, ...evil, ...message });
          for (const method of ["POST", "PUT", "PATCH"]) {
            const url = `http://localhost${path}?${query}`;
            const response = await routes.fetch(new Request(url, { method, headers, body }));
            await response.body?.cancel();
          }
        }
      }
      assert.deepEqual(gw.names(), ["up"]);
      assert.ok(opened.length > 0);
      for (const keys of opened) {
        const known =
          "alone client clock downstream name principal report request signal takeProgram user";
        assert.deepEqual(keys, known.split(" "));
      }
      await routes.close(0);
      await gw.close();
    });
  });

  test("[GTW-7] CVE-2026-30623 nothing but a program and its arguments comes of a command line", () => {
    for (const text of inject("x")) {
      let argv: readonly string[];
      try {
        argv = splitArgv(`printf %s ${text}`);
      } catch {
        continue; // Refused, since only a shell could run it
      }
      assert.equal(argv[0], "printf");
      assert.ok(argv.every((arg) => !/^(?:[|&;<>]+)$/.test(arg)), argv.join(" "));
    }
  });
});
