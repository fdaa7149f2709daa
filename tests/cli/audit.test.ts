/**
 * `mooring serve --audit`: the file, its rotation, and what happens when it can't be written.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  chmod,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { AuditFile } from "../../src/cli/serve/audit_file.ts";
import { runHere } from "./fake_io.ts";
import { COUNTER_LINE, reach, serving, textOf } from "./program.ts";

const TOKEN = "ada-token-0123456789";

/** Runs a test in a folder of its own. */
async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "mooring-audit-"));
  try {
    await run(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const modeOf = async (path: string) => (await stat(path)).mode & 0o777;

describe("AUD: the file", () => {
  test("[AUD-3] it rotates within its bounds, at whole lines, readable for its owner only", () =>
    inFolder(async (folder) => {
      const path = join(folder, "audit.jsonl");
      await writeFile(path, "first\n");
      await chmod(path, 0o644);
      const file = new AuditFile({ path, maxBytes: 100, maxFiles: 3 });
      const lines = Array.from({ length: 100 }, (_, n) => `{"line":${n}}\n`);
      // Calls that don't wait for each other keep their order.
      await Promise.all(lines.map((line) => file.write(line)));
      await file.reopen();
      assert.deepEqual((await readdir(folder)).toSorted(), [
        "audit.jsonl",
        "audit.jsonl.1",
        "audit.jsonl.2",
      ]);
      const texts = [];
      for (const name of [`${path}.2`, `${path}.1`, path]) {
        const text = await readFile(name, "utf8");
        assert.ok(text.length <= 100 && text.endsWith("\n"));
        if (process.platform !== "win32") assert.equal(await modeOf(name), 0o600);
        texts.push(text);
      }
      const kept = texts.join("");
      assert.equal(kept, lines.join("").slice(-kept.length));
      assert.ok(kept.length > 200);
    }));

  test("[AUD-3] a disk that is full after a part of the lines leaves nothing of them", () =>
    inFolder(async (folder) => {
      const path = join(folder, "audit.jsonl");
      let full = true;
      const openFile: typeof open = async (...args) => {
        const handle = await open(...args);
        const append = handle.appendFile.bind(handle);
        handle.appendFile = async (data) => {
          if (!full) return await append(data);
          await append(new Uint8Array([0x7b]));
          throw new Error("ENOSPC: no space left on device");
        };
        return handle;
      };
      const file = new AuditFile({ path, maxBytes: 1_000, maxFiles: 2, openFile });
      await assert.rejects(file.write('{"line":1}\n'), /ENOSPC/);
      full = false;
      await file.write('{"line":2}\n');
      await file.reopen();
      assert.equal(await readFile(path, "utf8"), '{"line":2}\n');
    }));

  test("[AUD-3] serve writes it, opens it anew after SIGHUP, and ends with whole lines", () =>
    inFolder(async (folder) => {
      const path = join(folder, "audit.jsonl");
      const args = ["--stdio", COUNTER_LINE, "--audit", path, "--token-env", "TOKEN"];
      await serving(args, async (program, url) => {
        await using client = await reach(url, { headers: { authorization: `Bearer ${TOKEN}` } });
        await textOf(client, "count");
        await linesIn(path, 2);
        await rename(path, `${path}.moved`);
        program.signal("SIGHUP");
        for (let n = 0; n < 100; n++) {
          await textOf(client, "count");
          if (await linesIn(path, 1).catch(() => 0)) break;
        }
      }, { TOKEN });
      const moved = await linesIn(`${path}.moved`, 2);
      const now = await linesIn(path, 2);
      assert.deepEqual(
        moved.slice(0, 2).map(({ act, tool, principal }) => [act, tool, principal]),
        [
          ["session-begun", undefined, "token"],
          ["call", "count", "token"],
        ],
      );
      assert.equal(now.at(-1)?.act, "session-ended");
      assert.ok(!(await readFile(path, "utf8")).includes(TOKEN));
      if (process.platform !== "win32") assert.equal(await modeOf(path), 0o600);
    }));

  test("[AUD-3] a file that can't be written is an error before anything is served", async () => {
    const path = join(tmpdir(), "no-such-folder", "audit.jsonl");
    const { code, err } = await runHere([
      "serve",
      "--http",
      "http://127.0.0.1:1/",
      "--audit",
      path,
    ]);
    assert.notEqual(code, 0);
    assert.match(err, /Give a file that can be written as --audit/);
  });
});

/** The entries of a file, once it has at least so many. */
async function linesIn(path: string, least: number): Promise<Record<string, unknown>[]> {
  for (let tries = 200; tries > 0; tries--) {
    const text = await readFile(path, "utf8").catch(() => "");
    const lines = text.split("\n").slice(0, -1);
    if (lines.length >= least) return lines.map((line) => JSON.parse(line));
    if (least === 1) break;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`Too few lines in ${path}`);
}
