/**
 * Where `mooring serve` keeps its data, and what it says about that.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { dataFolder } from "../../src/cli/config/data_folder.ts";
import type { Config } from "../../src/cli/config/schema.ts";
import type { LogFields } from "../../src/cli/log.ts";
import { openData } from "../../src/cli/serve/data.ts";
import { runHere } from "./fake_io.ts";
import { counter, COUNTER_LINE, reach, run, serving, textOf, withConfig } from "./program.ts";

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "data-"));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Opens data as `serve` does, with what it logs. */
async function opened(config: object, more: object = {}) {
  const logged: (readonly [string, string, LogFields | undefined])[] = [];
  const { stores, announce } = await openData({
    config: { mcpServers: {}, ...config } as Config,
    file: undefined,
    given: { stdio: ["x"] },
    env: {},
    log: (level, event, fields) => logged.push([level, event, fields]),
    ...more,
  });
  announce();
  return { stores, logged };
}

describe("the folder of a configuration", () => {
  const of = (more: object) =>
    dataFolder({ file: undefined, given: {}, env: {}, home: () => "/home/ada", ...more });

  test("[DUR-6] is in the user's own folder for the state of programs", {
    skip: process.platform === "win32",
  }, () => {
    const file = "/srv/my conf.json";
    assert.match(
      of({ file, platform: "linux" }),
      /^\/home\/ada\/\.local\/state\/mooring\/my_conf-[0-9a-f]{12}$/,
    );
    assert.match(
      of({ file, platform: "linux", env: { XDG_STATE_HOME: "/state" } }),
      /^\/state\/mooring\//,
    );
    assert.match(
      of({ file, platform: "linux", env: { XDG_STATE_HOME: "state" } }),
      /^\/home\/ada\/\.local/,
    );
    assert.match(
      of({ file, platform: "darwin" }),
      /^\/home\/ada\/Library\/Application Support\/mooring\/my_conf-/,
    );
    assert.match(
      of({ file, platform: "win32", env: { LOCALAPPDATA: "/local" } }),
      /^\/local\/mooring\/my_conf-/,
    );
  });

  test("[DUR-6] is another one for each file, and for each server that options describe", () => {
    const folders = [
      { file: "/a/mooring.json" },
      { file: "/b/mooring.json" },
      { given: { stdio: ["a"] } },
      { given: { stdio: ["b"] } },
      { given: { http: "http://a/mcp" } },
    ].map(of);
    assert.equal(new Set(folders).size, folders.length);
    assert.equal(of({ file: "/a/mooring.json" }), folders[0]);
    assert.equal(of({ given: { http: "http://a/mcp?key=secret" } }), folders[4]);
  });
});

describe("the data of serve", () => {
  test("[DUR-6] is kept unless it is turned off, where only its user can read it", () =>
    inFolder((state) =>
      withConfig({ mcpServers: { one: counter("one") } }, async (file) => {
        const place = join(state, "kept");
        await serving(["--config", file, "--data", place], async (program, url) => {
          const [line] = await program.until(/.*"event":"data".*/);
          assert.equal(JSON.parse(line).folder, place);
          await using client = await reach(new URL("/servers/one", url).href);
          assert.equal(await textOf(client, "count"), "1");
          const files = await readdir(place);
          assert.ok(
            files.includes("all.sqlite") && files.includes("server-one.sqlite"),
            `${files}`,
          );
          if (process.platform === "win32") return;
          assert.equal(await modeOf(place), 0o700);
          for (const name of files) assert.equal(await modeOf(join(place, name)), 0o600, name);

          const second = await run(["serve", "--config", file, "--data", place, "--port", "0"]);
          assert.equal(second.code, 1);
          assert.match(
            second.err,
            /End the other process that uses this folder, or give another one as --data, or --data none/,
          );
        });
        await serving(["--config", file, "--data", "none"], async (program) => {
          await program.until(/"event":"data","message":"Sessions are in memory/);
        });
      })
    ));

  test("[DUR-6] a folder that can't be written is refused with the option to change", () =>
    inFolder(async (folder) => {
      const file = join(folder, "file");
      await writeFile(file, "");
      for (const data of [file, join(file, "in")]) {
        const { code, err } = await runHere(["serve", "--stdio", COUNTER_LINE, "--data", data]);
        assert.equal(code, 1);
        assert.match(err, /^Give a folder that can be written as --data, or --data none to keep/);
      }
    }));

  test("[DUR-6] the file of another program is refused, and left as it is", () =>
    inFolder(async (folder) => {
      await writeFile(join(folder, "all.sqlite"), "no database ".repeat(1_000));
      const { code, err } = await runHere(["serve", "--stdio", COUNTER_LINE, "--data", folder]);
      assert.equal(code, 1);
      assert.match(err, /Move the damaged file away.*Or give another folder as --data/);
    }));

  test("[DUR-6] without SQLite it is in memory, which is said; a folder that was named is an error", async () => {
    const load = () => Promise.reject(new Error("No such built-in module: node:sqlite"));
    const { stores, logged } = await opened({}, { load });
    assert.equal(stores, undefined);
    assert.equal(logged.length, 1);
    assert.deepEqual(logged[0]?.slice(0, 2), ["warn", "data"]);
    assert.match(String(logged[0]?.[2]?.message), /no SQLite.*sessions are in memory/);
    await assert.rejects(
      opened({ data: "/nowhere" }, { load }),
      /Use another runtime, or --data none/,
    );
    await assert.rejects(
      opened({}, { load: () => Promise.reject(new Error("Something else")) }),
      /Something else/,
    );
  });

  test("[DUR-6] without a home folder, the option to give is named", async () => {
    const home = () => {
      throw new Error("no such user");
    };
    await assert.rejects(opened({}, { home, platform: "linux" }), /Give a folder as --data, or/);
  });

  test("[DUR-6] a server that is not served any more is forgotten", () =>
    inFolder(async (folder) => {
      const data = join(folder, "data");
      const mcpServers = { Kept: { command: "x" }, gone: { command: "x" } };
      const first = await opened({ data, mcpServers });
      first.stores?.store("Kept");
      first.stores?.store("gone");
      await first.stores?.close();
      assert.ok((await readdir(data)).includes("server-gone.sqlite"));
      await mkdir(join(data, "other"));
      const second = await opened({ data, mcpServers: { Kept: { command: "x" } } });
      assert.deepEqual(
        (await readdir(data)).filter((name) => !name.startsWith("all")),
        ["other", "server-+kept.sqlite"],
      );
      second.stores?.store("Kept");
      await second.stores?.remove?.("Kept");
      assert.ok(!(await readdir(data)).includes("server-+kept.sqlite"));
      await second.stores?.close();
    }));

  test("[DUR-8] it is sealed with the secret, or the first of several", () =>
    inFolder(async (folder) => {
      const data = join(folder, "data");
      const [one, two] = ["1".repeat(32), "2".repeat(32)];
      await (await opened({ data, secret: one })).stores?.close();
      for (const config of [{ data }, { data, secret: two }]) {
        await assert.rejects(
          opened(config),
          /Give the secret that the folder is sealed with as --secret-env/,
        );
      }
      await (await opened({ data, secret: [two, one] })).stores?.close();
      await (await opened({ data, secret: two })).stores?.close();
    }));

  test("[DUR-6] together with Redis it is an error", async () => {
    const args = ["serve", "--stdio", "x", "--redis", "redis://127.0.0.1:1", "--secret-env", "KEY"];
    const env = { KEY: "0123456789abcdef0123456789abcdef" };
    const { code, err } = await runHere([...args, "--data", "/tmp/x"], env);
    assert.deepEqual([code, err], [
      2,
      "--data: Leave it out: with Redis, sessions are kept there\n",
    ]);
  });
});
