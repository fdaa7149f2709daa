/**
 * One node is killed again and again while clients of both eras call: nothing is lost, nothing runs twice.
 */
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { Restarted } from "./restarted.ts";

const LONG = process.env["MOORING_LONG"] === "1";
/** Clients of each era. */
const CLIENTS = LONG ? 12 : 4;
const KILLS = LONG ? 120 : 3;
/** In the long form, the time between two kills, in milliseconds; else answers are counted. */
const EVERY_MS = 5_000;
const ANSWERS = 60;
/** The pauses after which nothing more is expected. */
const MOST_WAITS = 15_000;

/** What went wrong, and how much was done. */
class Tally {
  answered = 0;
  /** Calls that were broken before anything of their answer had come: their clients know that they failed. */
  broken = 0;
  /** Calls whose answer says that the process died while they ran. */
  interrupted = 0;
  readonly wrong: string[] = [];
}

/** Reads the events of a response until one answers a request; returns what was seen of it before it broke. */
async function readAnswer(
  response: Response,
  id: number,
): Promise<{ readonly lastId: string; readonly data?: string }> {
  let lastId = "";
  try {
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader(); // a stream has a body
    let text = "";
    // Bounded: a stream has few events.
    for (let pieces = 0; pieces < 10_000; pieces++) {
      const { value, done } = await reader.read();
      if (done) break;
      text += value;
      const events = text.split("\n\n");
      text = events.pop() ?? "";
      for (const event of events) {
        lastId = event.match(/^id: (.*)$/m)?.[1] ?? lastId;
        const data = event.match(/^data: (.*)$/m)?.[1] ?? "";
        if (!data.includes(`"id":${id}`)) continue;
        await reader.cancel();
        return { lastId, data };
      }
    }
  } catch {
    // The process was killed.
  }
  return { lastId };
}

const pause = () => new Promise((resolve) => setTimeout(resolve, 20));

/** Waits for more answers, unless something went wrong. */
async function moreAnswers(tally: Tally): Promise<void> {
  const goal = tally.answered + ANSWERS;
  for (let waits = 0; tally.answered < goal && tally.wrong.length === 0; waits++) {
    assert.ok(waits < MOST_WAITS, `No answers come: ${tally.answered} of ${goal}`);
    await pause();
  }
}

/** A client of 2025: it counts in its session, and resumes each stream until it has the answer. */
async function client2025(
  server: Restarted,
  user: string,
  tally: Tally,
  working: () => boolean,
): Promise<void> {
  const session = await server.open(user);
  let count = 0;
  for (let id = 1; working(); id++) {
    const params = { name: "count", arguments: { key: `${user}-${id}` } };
    const body = JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params });
    // As a stream from the beginning, so that it can be resumed.
    const headers = { accept: "text/event-stream" };
    let read: { readonly lastId: string; readonly data?: string } = { lastId: "" };
    try {
      const response = await server.request({ method: "POST", body, user, session, headers });
      if (response.status !== 200) tally.wrong.push(`${user} ${response.status}`);
      read = await readAnswer(response, id);
    } catch {
      // Nobody listens at the moment.
    }
    if (read.data === undefined && read.lastId === "") {
      tally.broken++;
      await pause();
      continue;
    }
    for (let tries = 0; read.data === undefined && tries < 1_000; tries++) {
      await pause();
      try {
        const response = await server.request({
          method: "GET",
          ...{ user, session },
          headers: { accept: "text/event-stream", "last-event-id": read.lastId },
        });
        if (response.status !== 200) tally.wrong.push(`${user} GET ${response.status}`);
        const more = await readAnswer(response, id);
        read = { ...more, lastId: more.lastId || read.lastId };
      } catch {
        // Nobody listens at the moment.
      }
    }
    if (read.data === undefined) {
      tally.wrong.push(`${user} ${id}: no answer`);
      continue;
    }
    const { result, error } = JSON.parse(read.data);
    if (error?.data?.mayHaveRun === true) {
      tally.interrupted++;
      continue;
    }
    const [counted, owner] = String(result?.content?.[0]?.text).split(" ");
    if (owner !== user) tally.wrong.push(`${user} got ${read.data}`);
    if (!(Number(counted) > count)) tally.wrong.push(`${user} counted ${counted} after ${count}`);
    count = Number(counted);
    tally.answered++;
  }
}

/** A client of 2026, which has no session: an answer is its own, or there is none. */
async function client2026(
  server: Restarted,
  user: string,
  tally: Tally,
  working: () => boolean,
): Promise<void> {
  for (let id = 1; working(); id++) {
    const params = {
      name: "count",
      arguments: { key: `${user}-${id}` },
      _meta: {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
        "io.modelcontextprotocol/clientCapabilities": {},
      },
    };
    const body = JSON.stringify({ jsonrpc: "2.0", id, method: "tools/call", params });
    const headers = {
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": "tools/call",
      "mcp-name": "count",
    };
    try {
      const response = await server.request({ method: "POST", body, user, headers });
      const text = await response.text();
      if (response.status !== 200 || !text.includes(`1 ${user}`)) {
        tally.wrong.push(`${user} ${response.status} ${text}`);
      }
      tally.answered++;
    } catch {
      tally.broken++;
      await pause();
    }
  }
}

test(`[DUR-12] a node that is killed ${KILLS} times loses no session, runs nothing twice, and answers each call`, async () => {
  const folder = await mkdtemp(join(tmpdir(), "soak-"));
  const server = new Restarted(folder);
  await writeFile(server.effects, "");
  await server.start();
  const tally = new Tally();
  let isWorking = true;
  const working = () => isWorking;
  try {
    const users = Array.from({ length: CLIENTS }, (_, index) => index);
    const clients = [
      ...users.map((index) => client2025(server, `old${index}`, tally, working)),
      ...users.map((index) => client2026(server, `new${index}`, tally, working)),
    ];
    for (let kill = 0; kill < KILLS; kill++) {
      if (LONG) await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
      else await moreAnswers(tally);
      await server.kill();
      await server.start();
    }
    await moreAnswers(tally);
    isWorking = false;
    await Promise.all(clients);
    const lines = (await readFile(server.effects, "utf8")).trim().split("\n");
    assert.deepEqual(tally.wrong, []);
    assert.equal(new Set(lines).size, lines.length, "a call has run twice");
    assert.ok(tally.answered >= ANSWERS * (LONG ? 1 : KILLS));
  } finally {
    isWorking = false;
    await server.kill();
    await rm(folder, { recursive: true });
  }
});
