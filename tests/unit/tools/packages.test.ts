/**
 * What a first `deno task start` fetches: with these settings, only the packages that the demo imports.
 */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";

async function json(path: string) {
  return JSON.parse(await readFile(new URL(`../../../${path}`, import.meta.url), "utf8"));
}

const { imports, nodeModulesDir, tasks } = await json("deno.json");
const { dependencies, peerDependencies = {}, devDependencies } = await json("package.json");

describe("deno.json", () => {
  test("imports the packages of src/, at the version in package.json, and no development package", () => {
    for (const [name, specifier] of Object.entries(imports)) {
      // A peer dependency has a range, and its version for tests among the development packages.
      const version = (name in peerDependencies ? devDependencies : dependencies)[name];
      assert.equal(specifier, `npm:${name}@${version}`);
    }
  });

  test("pins every package to one version", () => {
    for (const version of Object.values<string>({ ...dependencies, ...devDependencies })) {
      assert.match(version, /^\d+\.\d+\.\d+(-[\w.]+)?$/);
    }
  });

  test("doesn't let a task install all packages before it runs", () => {
    assert.equal(nodeModulesDir, "manual");
    for (const name of ["start", "mooring", "everything"]) {
      assert.match(tasks[name].command, new RegExp(`^${tasks.run.command} `));
    }
    assert.equal(tasks.run.command, "deno run -A --no-lock --node-modules-dir=none");
  });

  test("installs the packages before a task of tools/ or bench/ imports them", () => {
    const commands = Object.values<string | { command: string }>(tasks)
      .map((task) => typeof task === "string" ? task : task.command)
      .filter((command) => / (tools|bench)\//.test(command));
    assert.notEqual(commands.length, 0);
    for (const command of commands) {
      assert.match(command, /^deno install --quiet --frozen && /);
    }
  });
});
