/**
 * A process with a SQLite file is killed and started again: its clients go on where they were.
 */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { readUntil, Restarted } from "./restarted.ts";

const LONG = process.env["MOORING_LONG"] === "1";
const KILLS = LONG ? 50 : 4;

describe("a process that is killed", () => {
  let folder: string;
  let server: Restarted;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "restart-"));
    server = new Restarted(folder);
    await writeFile(server.effects, "");
    await server.start();
  });
  after(async () => {
    await server.kill();
    await rm(folder, { recursive: true });
  });

  test("[DUR-1] has the same sessions with their state afterwards, each for its owner alone", async () => {
    const ada = await server.open("ada");
    const bob = await server.open("bob");
    assert.equal(await server.count("ada", ada, 1), "1 ada");
    assert.equal(await server.count("bob", bob, 1), "1 bob");
    for (let kill = 1; kill <= KILLS; kill++) {
      await server.kill();
      await server.start();
      assert.equal(await server.count("ada", ada, kill * 2), `${kill + 1} ada`);
      const foreign = await server.call("bob", ada, 1, "count", { key: "x" });
      assert.equal(foreign.status, 404);
      await foreign.text();
    }
    assert.equal(await server.count("bob", bob, 2), "2 bob");
  });

  test("[DUR-2] its running call ends with an error that says so, for the client that resumes", async () => {
    const ada = await server.open("ada");
    const body = JSON.stringify({
      jsonrpc: "2.0",
      id: 7,
      method: "tools/call",
      params: { name: "slow", arguments: {}, _meta: { progressToken: "p" } },
    });
    const response = await server.request({ method: "POST", body, session: ada });
    const { lastId } = await readUntil(response, (data) => data.includes("notifications/progress"));
    assert.notEqual(lastId, "");
    await server.kill();
    await server.start();
    const resumed = await server.request({
      method: "GET",
      session: ada,
      headers: { accept: "text/event-stream", "last-event-id": lastId },
    });
    assert.equal(resumed.status, 200);
    const { data } = await readUntil(resumed, (data) => data.includes('"id":7'));
    assert.match(data, /restarted while the request ran/);
    assert.match(data, /"mayHaveRun":true/);
    assert.equal(await server.count("ada", ada, 8), "1 ada");
  });

  /** Begins a call, and kills the server when its progress has come. */
  async function killedIn(session: string, id: number, tool: string, key = ""): Promise<string> {
    const params = { name: tool, arguments: { key }, _meta: { progressToken: "p" } };
    const body = JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params });
    const response = await server.request({ method: "POST", body, session });
    const last = `"progress":${tool === "again" ? 2 : 1},`;
    const { lastId } = await readUntil(response, (data) => data.includes(last));
    await server.kill();
    await server.start();
    return lastId;
  }

  const resume = (session: string, lastId: string) =>
    server.request({
      method: "GET",
      session,
      headers: { accept: "text/event-stream", "last-event-id": lastId },
    });

  const runsOf = async (key: string): Promise<number> =>
    (await readFile(server.effects, "utf8")).split("\n").filter((line) => line === key).length;

  test("[DUR-9] its running call is begun again, once, if the tool says so", async () => {
    const ada = await server.open("ada");
    const lastId = await killedIn(ada, 9, "again", "once");
    const { data } = await readUntil(await resume(ada, lastId), (data) => data.includes('"id":9'));
    assert.match(data, /run 2/);
    // Resumed again, it is the same answer.
    const again = await readUntil(await resume(ada, lastId), (data) => data.includes('"id":9'));
    assert.equal(again.data, data);
    assert.equal(await runsOf("once"), 2);
  });

  test("[DUR-9] a call that was begun again and is killed once more ends with the error", async () => {
    const ada = await server.open("ada");
    const first = await killedIn(ada, 9, "again", "twice");
    const { lastId } = await readUntil(
      await resume(ada, first),
      (data) => data.includes('"progress":4,'),
    );
    await server.kill();
    await server.start();
    const { data } = await readUntil(await resume(ada, lastId), (data) => data.includes('"id":9'));
    assert.match(data, /"mayHaveRun":true/);
    assert.equal(await runsOf("twice"), 2);
  });

  test("[DUR-9] a call of a tool that doesn't say so never runs twice", async () => {
    const ada = await server.open("ada");
    const before = await runsOf("slow");
    const lastId = await killedIn(ada, 9, "slow");
    const { data } = await readUntil(await resume(ada, lastId), (data) => data.includes('"id":9'));
    assert.match(data, /"mayHaveRun":true/);
    assert.equal(await runsOf("slow"), before + 1);
  });

  test("[DUR-3] at random moments of work: what was answered is stored, nothing has run twice", async () => {
    const users = ["u1", "u2", "u3", "u4"];
    const sessions = new Map<string, string>();
    for (const user of users) sessions.set(user, await server.open(user));
    const answered = new Map(users.map((user) => [user, 0]));
    let sent = 0;
    let working = true;
    const client = async (user: string): Promise<void> => {
      // Bounded: a kill ends the process long before.
      for (let calls = 0; working && calls < 100_000; calls++) {
        const id = ++sent + 100;
        try {
          const [count] = (await server.count(user, sessions.get(user) ?? "", id, `${user}-${id}`))
            .split(" ");
          assert.ok(
            Number(count) > (answered.get(user) ?? 0),
            "a count that was answered went back",
          );
          answered.set(user, Number(count));
        } catch (error) {
          if (error instanceof assert.AssertionError) throw error;
          // Nobody listens at the port while the process is started again.
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
    };
    const clients = users.map(client);
    for (let kill = 0; kill < KILLS; kill++) {
      const goal = [...answered.values()].reduce((a, b) => a + b) + 5 + (kill * 7) % 11;
      for (let waits = 0; waits < 3_000; waits++) {
        if ([...answered.values()].reduce((a, b) => a + b) >= goal) break;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      await server.kill();
      await server.start();
    }
    working = false;
    await Promise.all(clients);
    const lines = (await readFile(server.effects, "utf8")).trim().split("\n");
    for (const user of users) {
      const mine = lines.filter((line) => line.startsWith(`${user}-`));
      assert.equal(new Set(mine).size, mine.length, "a call has run twice");
      const next = await server.count(user, sessions.get(user) ?? "", 99);
      assert.ok(
        Number(next.split(" ")[0]) > (answered.get(user) ?? 0),
        "an answered call was lost",
      );
    }
  });
});
