/**
 * The npm package, installed: its command runs although Node and Deno don't take the types out of what
 * is under `node_modules`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { COUNTER_LINE, Program, reach, textOf } from "./program.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Puts into a folder what installing the package would. */
async function install(folder: string): Promise<string> {
  const { name, version, bin, files, dependencies } = JSON.parse(
    await readFile(join(ROOT, "package.json"), "utf8"),
  );
  const modules = join(folder, "node_modules");
  for (const file of [...files, "package.json"]) {
    await cp(join(ROOT, file), join(modules, name, file), { recursive: true });
  }
  await writeFile(
    join(folder, "package.json"),
    JSON.stringify({ private: true, dependencies: { [name]: version } }),
  );
  for (const dependency of Object.keys(dependencies)) {
    await mkdir(dirname(join(modules, dependency)), { recursive: true });
    await symlink(join(ROOT, "node_modules", dependency), join(modules, dependency));
  }
  return join(modules, name, bin.mooring);
}

test("an installed package's command serves, and says nothing but its own words", async () => {
  const folder = await mkdtemp(join(tmpdir(), "package-"));
  try {
    const command = await install(folder);
    const version = new Program(["--version"], {}, command);
    assert.equal(await version.ended, 0, version.err);
    assert.match(version.out, /^mooring \d/);
    assert.equal(version.err, "");

    const args = ["serve", "--stdio", COUNTER_LINE, "--port", "0", "--log", "json"];
    const program = new Program(args, {}, command);
    try {
      await using client = await reach(await program.url());
      assert.equal(await textOf(client, "count"), "1");
      await client.close();
      program.signal("SIGTERM");
      assert.equal(await program.ended, 0, program.err);
      for (const line of program.err.trim().split("\n")) JSON.parse(line);
    } finally {
      program.signal("SIGKILL");
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});
