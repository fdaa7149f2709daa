/**
 * A process is killed at random moments of writing: the file is whole, and has all that was said to be stored.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { DatabaseSync } from "node:sqlite";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { sqliteStore } from "../../src/sql/mod.ts";
import { KEYS, SETTINGS } from "./stored.ts";

const WRITER = fileURLToPath(new URL("./writer.ts", import.meta.url));
const BEFORE = "Deno" in globalThis ? ["run", "-A", "--no-check", "--quiet"] : [];
const KILLS = process.env["MOORING_LONG"] === "1" ? 500 : 25;
/** The lines after which it is killed, at most. */
const MOST_LINES = 400;

/** Lets the writer run until it has written so many lines, kills it, and returns all that it has written. */
async function killedAfter(path: string, run: number, lines: number): Promise<readonly string[]> {
  const child = spawn(process.execPath, [...BEFORE, WRITER, path, String(run)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  let seen = 0;
  child.stdout.setEncoding("utf8").on("data", (piece: string) => {
    text += piece;
    seen += piece.split("\n").length - 1;
    if (seen >= lines) child.kill("SIGKILL");
  });
  await new Promise((resolve) => child.once("close", resolve));
  assert.ok(seen >= lines, `It ended by itself: ${text}`);
  return text.split("\n").slice(0, -1);
}

/** Checks what SQLite itself can tell, and that nothing is left of what was deleted. */
function checkFile(path: string): void {
  const database = new DatabaseSync(path);
  const rows = database.prepare("PRAGMA integrity_check").all();
  assert.deepEqual(rows.map((row) => Object.values(row)), [["ok"]]);
  for (const table of ["mooring_state", "mooring_subscription"]) {
    const orphans = database.prepare(
      `SELECT count(*) AS n FROM ${table} WHERE session NOT IN (SELECT id FROM mooring_session)`,
    ).get();
    assert.equal(orphans?.n, 0, table);
  }
  const events = database.prepare(
    `SELECT count(*) AS n FROM mooring_event WHERE NOT EXISTS (
      SELECT 1 FROM mooring_stream
      WHERE mooring_stream.session = mooring_event.session AND name = stream)`,
  ).get();
  assert.equal(events?.n, 0, "events without a stream");
  database.close();
}

/** Checks that the store has what was said to be stored, and no more than one change beyond. */
async function checkStored(path: string, lines: readonly string[], run: number): Promise<void> {
  using store = sqliteStore({ path, keys: KEYS });
  const { sessions, log, documents } = store.open(SETTINGS);
  const last = (kind: string) =>
    new Map(
      lines.map((line) => line.split(" ")).filter(([first]) => first === kind)
        .map(([, id = "", n = "0"]) => [id, Number(n)] as const),
    );
  const gone = last("dropping");
  const [states, events] = [last("state"), last("event")];
  const present = new Set(await sessions.ids());
  for (const id of last("session").keys()) {
    if (!gone.has(id)) assert.ok(present.has(id), `session ${id}`);
  }
  for (const id of last("dropped").keys()) {
    assert.ok(!present.has(id), `dropped session ${id}`);
    assert.equal(await log.read(id, "s", 0), undefined, `dropped stream of ${id}`);
  }
  for (const [id, n] of states) {
    if (gone.has(id)) continue;
    const found = Number(await sessions.getState(id, "n"));
    assert.ok(found === n || found === n + 1, `state of ${id}: ${found}, said ${n}`);
    const slice = await log.read(id, "s", 0);
    const numbers = slice?.events.map(({ n }) => n) ?? [];
    assert.deepEqual(numbers, numbers.map((_, index) => index + 1), `events of ${id}`);
    assert.ok((slice?.last ?? 0) >= (events.get(id) ?? 0), `last event of ${id}`);
    // What ran has ended, with one answer.
    assert.equal(slice?.ended, true, `stream of ${id}`);
    const answers = slice?.events.filter(({ data }) => JSON.parse(data).id === 1) ?? [];
    assert.equal(answers.length, 1, `answers of ${id}`);
  }
  const [document] = [...last("document").keys()].slice(-1).map(Number);
  if (document === undefined) return;
  const { text = "{}" } = await documents.get("document") ?? {};
  const stored = JSON.parse(text);
  assert.equal(stored.run, String(run));
  assert.ok(stored.n === document || stored.n === document + 5, "document");
}

test(`[DUR-11] ${KILLS} kills at random moments of writing leave a whole file, with all that was stored`, async () => {
  const folder = await mkdtemp(join(tmpdir(), "crash-"));
  let path = join(folder, "0.sqlite");
  try {
    for (let run = 1; run <= KILLS; run++) {
      // A file of its own now and then: the checks take longer the more there is.
      if (run % 10 === 0) path = join(folder, `${run}.sqlite`);
      const lines = await killedAfter(path, run, 1 + Math.floor(Math.random() * MOST_LINES));
      await checkStored(path, lines, run);
      checkFile(path);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});
