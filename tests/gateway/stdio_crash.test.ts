import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { isAlive, runs } from "./children.ts";

const HOLDER = fileURLToPath(new URL("./fixtures/holder.ts", import.meta.url));

async function until(found: () => boolean, what: string): Promise<void> {
  const end = Date.now() + 10_000;
  while (!found()) {
    if (Date.now() > end) throw new Error(`Not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Starts a gateway, ends it in a way, and waits for the end of its children. */
async function survivors(
  how: string,
  end: (pid: number) => void,
): Promise<void> {
  const { command, args } = runs(HOLDER, how);
  const gateway = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  gateway.stdout.setEncoding("utf8");
  gateway.stdout.on("data", (text: string) => said += text);
  const exited = new Promise<void>((resolve) => gateway.once("exit", () => resolve()));
  await until(() => said.includes("\n"), "the ids of the gateway's children");
  const ids = said.trim().split(" ").map(Number);
  assert.equal(ids.length, 4);
  assert.ok(ids.every(isAlive) || how === "exit");
  assert.ok(gateway.pid !== undefined);
  end(gateway.pid);
  await exited;
  await until(() => !ids.some(isAlive), `the end of ${ids.join(" and ")}`);
}

test("[GTW-7] children and theirs end with a gateway that is killed", async () => {
  await survivors("wait", (pid) => {
    process.kill(pid, "SIGKILL");
  });
});

test("[GTW-7] children and theirs end with a gateway that is told to stop and just does", async () => {
  await survivors("wait", (pid) => {
    process.kill(pid, "SIGTERM");
  });
});

test("[GTW-7] children and theirs end with a gateway that exits", async () => {
  await survivors("exit", () => {});
});
