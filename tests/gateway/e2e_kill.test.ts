/**
 * Processes that are killed: upstreams in the middle of a call, and the gateway itself.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { sdkV2 } from "../clients/sdk_v2.ts";
import { childrenOf, isAlive, runs, tinyChild } from "./children.ts";
import { KINDS, served, until } from "./e2e_support.ts";

const GATEWAY = fileURLToPath(new URL("./fixtures/served_gateway.ts", import.meta.url));

for (const kind of KINDS.slice(0, 2)) {
  test(`[GTW-2, GTW-7] ${kind.name}: a child that is killed in a call fails that call alone`, async () => {
    const upstreams = { a: tinyChild(), b: tinyChild() };
    await served(upstreams, async ({ connect, events }) => {
      const [alice, other, bob] = await Promise.all([
        connect(kind, "alice"),
        connect(kind, "alice"),
        connect(kind, "bob"),
      ]);
      for (const client of [alice, other, bob]) {
        assert.equal((await client.call("a__count")).text, "1");
        assert.equal((await client.call("b__count")).text, "1");
      }
      const pid = Number((await alice.call("a__pid")).text);
      const begun = performance.now();
      const hanging = alice.call("a__hang");
      const failed = assert.rejects(hanging, (error: Error) => {
        assert.match(
          error.message,
          /Call again later: the upstream "a" can't be used now \(closed\)/,
        );
        assert.doesNotMatch(error.message, /SIGKILL|sh\b|pid/);
        return true;
      });
      await new Promise((resolve) => setTimeout(resolve, 50));
      process.kill(pid, "SIGKILL");
      await failed;
      assert.ok(performance.now() - begun < 5_000);
      assert.equal((await alice.call("a__count")).text, "1");
      assert.notEqual(Number((await alice.call("a__pid")).text), pid);
      assert.equal((await alice.call("b__count")).text, "2");
      for (const client of [other, bob]) {
        assert.equal((await client.call("a__count")).text, "2");
        assert.equal((await client.call("b__count")).text, "2");
      }
      const told = events.filter(({ type }) => type === "upstream-failed");
      assert.ok(told.length >= 1);
      for (const client of [alice, other, bob]) {
        await client.terminate();
        await client.close();
      }
      await until(() => childrenOf(process.pid).length === 0, "the end of all children");
    });
  });
}

test("[GTW-7] with a gateway that is killed its children end, even those that ignore all else", async () => {
  const { command, args } = runs(GATEWAY);
  const gateway = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  let said = "";
  gateway.stdout.setEncoding("utf8").on("data", (text: string) => said += text);
  const exited = new Promise<void>((resolve) => gateway.once("exit", () => resolve()));
  await until(() => said.includes("\n"), "the gateway's address");
  const url = said.trim();
  const clients = await Promise.all(
    Array.from({ length: 3 }, () => sdkV2.connect({ url, headers: {} })),
  );
  const ids: number[] = [];
  for (const client of clients) {
    for (const name of ["tame", "deaf"]) {
      ids.push(Number((await client.call(`${name}__pid`)).text));
    }
  }
  assert.equal(new Set(ids).size, 6);
  const lost = clients.map((client) => client.call("deaf__hang").catch(() => "lost"));
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(ids.every(isAlive));
  assert.ok(gateway.pid !== undefined);
  process.kill(gateway.pid, "SIGKILL");
  await exited;
  await until(() => !ids.some(isAlive), `the end of ${ids.join()}`, 5_000);
  await Promise.all(clients.map((client) => client.close()));
  await Promise.allSettled(lost);
});
