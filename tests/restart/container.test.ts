/**
 * The command as orchestrators run it: stopped by a signal, started again, and as process 1.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { COUNTER_LINE, Program, reach, textOf } from "../cli/program.ts";
import { sdkV1 } from "../clients/sdk_v1.ts";
import { until } from "../gateway/e2e_support.ts";
import { RestartedCommand } from "./command.ts";

/** Makes the next program process 1 of what looks like a container. */
const AS_FIRST = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"];

/** Whether this machine lets a program have processes of its own, with process 1. */
function canBeFirst(): boolean {
  const [program = "", ...args] = AS_FIRST;
  const { status, stdout } = spawnSync(program, [...args, "sh", "-c", "echo $$"]);
  return status === 0 && String(stdout).trim() === "1";
}

const skip = process.platform === "linux" && canBeFirst()
  ? false
  : "PROCESS 1 SKIPPED: this machine has no unshare for this user";

async function healthOf(url: string): Promise<string> {
  const response = await fetch(new URL("/health", url), { headers: { connection: "close" } });
  return `${response.status} ${await response.text()}`;
}

/** The children of a process. */
async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
  return text.split(" ").filter((text) => text !== "").map(Number);
}

/** The zombies whose parent is this process. */
async function zombiesOf(parent: number): Promise<string[]> {
  const stats = (await readdir("/proc")).filter((name) => /^\d+$/.test(name))
    .map((pid) => readFile(`/proc/${pid}/stat`, "utf8").catch(() => ""));
  return (await Promise.all(stats)).filter((stat) => {
    const [, state, of] = /\) (\w) (\d+) /.exec(stat) ?? [];
    return state === "Z" && Number(of) === parent;
  });
}

describe("mooring serve in a container", () => {
  test("[DUR-30] from SIGTERM on its health check fails, while a call finishes; then it goes on", async () => {
    const data = await mkdtemp(join(tmpdir(), "container-"));
    const server = new RestartedCommand(["--stdio", COUNTER_LINE, "--data", data]);
    try {
      await server.start();
      const client = await sdkV1.connect({ url: server.url });
      assert.equal(await healthOf(server.url), '200 {"status":"ok"}');
      const running = Promise.withResolvers<void>();
      const slow = client.call("slow", { ms: 1_500 }, { onProgress: () => running.resolve() });
      await running.promise;
      const { program } = server;
      program.signal("SIGTERM");
      await program.until(/"event":"stopping"/);
      await until(async () => await healthOf(server.url) === '503 {"status":"closing"}', "the 503");
      assert.equal((await slow).text, "slept");
      assert.equal(await program.ended, 0, program.err);
      await server.kill();
      await server.start();
      assert.equal(await healthOf(server.url), '200 {"status":"ok"}');
      assert.equal((await client.call("count")).text, "1");
      assert.equal(server.events("session-restored").length, 1);
      await client.close();
    } finally {
      await server.kill();
      await rm(data, { recursive: true });
    }
  });

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    test(
      `[DUR-31] as process 1 it ends on ${signal}, and reaps its programs`,
      { skip },
      async () => {
        const line = [
          "serve",
          "--stdio",
          COUNTER_LINE,
          "--data",
          "none",
          "--port",
          "0",
          "--log",
          "json",
        ];
        const program = new Program(line, {}, undefined, AS_FIRST);
        try {
          const url = await program.url();
          const [first = assert.fail("There is no process 1")] = await childrenOf(program.pid);
          const client = await reach(url);
          assert.equal(await textOf(client, "count"), "1");
          // They die by themselves
          const programs = await childrenOf(first);
          assert.ok(programs.length > 0);
          for (const pid of programs) process.kill(pid, "SIGKILL");
          await until(async () => await textOf(client, "count").catch(() => "") === "1", "another");
          await until(async () => (await zombiesOf(first)).length === 0, "the end of the zombies");
          await client.close();
          process.kill(first, signal);
          assert.equal(await program.ended, 0, program.err);
          assert.match(program.err, /"event":"stopped"/);
        } finally {
          program.signal("SIGKILL");
          await program.ended;
        }
      },
    );
  }
});
