/**
 * Writes to a store in a SQLite file without a pause, until it is killed. Takes the file, and a number that no
 * earlier run had. Writes a line for each thing that is stored: what it says must be there afterwards.
 *
 * @module
 */
import { writeSync } from "node:fs";
import process from "node:process";
import { sqliteStore } from "../../src/sql/mod.ts";
import { KEYS, SETTINGS } from "./stored.ts";

const [path = "", run = ""] = process.argv.slice(2);
const store = sqliteStore({ path, keys: KEYS });
const { sessions, log, documents, claims } = store.open(SETTINGS);

/** Writes a line, as often as the pipe is full because nobody has read it yet. */
function say(line: string): void {
  for (;;) {
    try {
      writeSync(1, `${line}\n`);
      return;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EAGAIN")) throw error;
    }
  }
}

say("begun");
// Bounded: it is killed long before.
for (let n = 1; n < 10_000_000; n++) {
  const id = `${run}-${Math.ceil(n / 20)}`;
  if (n % 20 === 1) {
    await sessions.reserve(id, "ada");
    await sessions.create({
      id,
      owner: "ada",
      createdAt: Date.now(),
      protocolVersion: "2025-11-25",
      client: { capabilities: {} },
      initialized: true,
      logLevel: undefined,
    });
    say(`session ${id}`);
    await log.open(id, "s", { node: "node", requests: [1] });
  }
  await sessions.setState(id, "n", n);
  say(`state ${id} ${n}`);
  say(`event ${id} ${await log.append(id, "s", JSON.stringify({ n, text: "x".repeat(n % 500) }))}`);
  if (n % 7 === 0) await log.deliver(id, "s", 1 + n % 20);
  if (n % 5 === 0) {
    await documents.put("document", JSON.stringify({ run, n }));
    say(`document ${n}`);
    await claims.claim(`claim-${run}-${n}`, "node", 60_000);
  }
  if (n % 20 === 0) {
    await log.append(id, "s", JSON.stringify({ jsonrpc: "2.0", id: 1, result: {} }), true);
    await log.end(id, "s");
    say(`end ${id}`);
  }
  if (n % 60 === 0) {
    const gone = `${run}-${n / 20 - 1}`;
    say(`dropping ${gone}`);
    await log.drop(gone);
    await sessions.end(gone);
    say(`dropped ${gone}`);
  }
}
