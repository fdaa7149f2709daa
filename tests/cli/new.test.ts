/**
 * `mooring new`: what it asks, refuses and writes. `tools/templates.ts` installs, checks, tests and calls each
 * project from the tarball.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import type { Io } from "../../src/cli/io.ts";
import type { Ask, ChoiceQuestion } from "../../src/cli/new/choices.ts";
import { type NewOptions, newProject } from "../../src/cli/new/new.ts";
import { NEEDED, projectName, projectOf } from "../../src/cli/new/project.ts";
import { Secrets } from "../../src/cli/redact.ts";
import { createManifest } from "../../tools/pack_create.ts";
import { TEMPLATES } from "../../tools/templates.ts";
import { runHere } from "./fake_io.ts";
import { run } from "./program.ts";

/** An empty folder of the user's own, with a project's folder in it, for as long as `use` takes. */
async function withHome(
  use: (place: {
    readonly home: string;
    readonly make: (
      folder: string,
      options?: NewOptions,
      ask?: Ask,
    ) => Promise<{ readonly code: number; readonly out: string; readonly err: string }>;
  }) => Promise<void>,
): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), "new-"));
  const make = async (folder: string, options: NewOptions = { yes: true }, ask?: Ask) => {
    const written = { out: "", err: "" };
    const io: Io = {
      env: { HOME: home },
      secrets: new Secrets(),
      out: { write: (text) => void (written.out += text) },
      err: { write: (text) => void (written.err += text) },
      terminal: false,
      color: false,
      onSignal: () => () => {},
    };
    const machine = { platform: "linux", env: io.env, cwd: home };
    const code = await newProject(folder, options, io, machine, ask);
    return { code, ...written };
  };
  try {
    await use({ home, make });
  } finally {
    await rm(home, { recursive: true });
  }
}

const json = async (path: string) => JSON.parse(await readFile(path, "utf8"));

describe("mooring new", () => {
  test("[NEW-1] what isn't given is asked, with the defaults first; who gives up gets no file", () =>
    withHome(async ({ home, make }) => {
      const asked: ChoiceQuestion[] = [];
      const answers = ["bun", "http", "bearer"];
      const { code } = await make("one", {}, (question) => {
        asked.push(question);
        return Promise.resolve(answers[asked.length - 1]);
      });
      assert.equal(code, 0);
      assert.deepEqual(asked.map(({ answers }) => answers.length), [3, 2, 3]);
      assert.deepEqual(asked.slice(1).map(({ first }) => first), ["http", "none"]);
      assert.match(await readFile(join(home, "one/main.ts"), "utf8"), /mcp\/bun"[^]*bearer\(/);

      asked.length = 0;
      await make("two", { runtime: "Node" }, (question) => {
        asked.push(question);
        return Promise.resolve("stdio");
      });
      // Over stdio there is one user
      assert.equal(asked.length, 1);
      assert.match(await readFile(join(home, "two/main.ts"), "utf8"), /serveStdio/);

      const { code: left, err } = await make("three", {}, () => Promise.resolve(undefined));
      assert.deepEqual([left, err], [1, "Nothing was written\n"]);
      assert.deepEqual((await readdir(home)).sort(), ["one", "two"]);
    }));

  test("[NEW-2] without a terminal, what is missing is an error that names it, or a default with --yes", async () => {
    const home = await mkdtemp(join(tmpdir(), "new-"));
    try {
      const env = { HOME: home };
      // A process of its own: its stdin is no terminal, and it must not wait for it
      const { code, err } = await run(["new", join(home, "a"), "--runtime", "node"], env);
      assert.equal(code, 2);
      assert.equal(
        err,
        "Give --transport, --auth, or --yes for the defaults: there is no terminal to ask at\n",
      );
      await assert.rejects(stat(join(home, "a")));
      assert.equal((await runHere(["new", join(home, "a"), "--yes"], env)).code, 0);
      const stdio = ["--runtime", "node", "--transport", "stdio"];
      assert.equal((await runHere(["new", join(home, "b"), ...stdio], env)).code, 0);
    } finally {
      await rm(home, { recursive: true });
    }
  });

  test("[NEW-3] another value, and two that don't fit, are refused before anything is written", async () => {
    const refusals = [
      [["--runtime", "nod"], 'Give --runtime deno, bun or node: "nod"'],
      [["--transport", "sse"], 'Give --transport http or stdio: "sse"'],
      [["--auth", "oauth"], 'Give --auth none, bearer or sign-in: "oauth"'],
      [["--transport", "stdio", "--auth", "bearer"], "with --transport http"],
      [["--runtme", "node"], "Did you mean --runtime?"],
    ] as const;
    const folder = join(tmpdir(), `never-${process.pid}`);
    for (const [args, text] of refusals) {
      const { code, err } = await runHere(["new", folder, "--yes", ...args], { HOME: folder });
      assert.equal(code, 2, err);
      assert.ok(err.includes(text), err);
    }
    assert.match((await runHere(["new"])).err, /Give what to new: mooring new/);
    await assert.rejects(stat(folder));
  });

  test("[NEW-4] a folder with something in it is refused and stays as it is; a repository is no content", () =>
    withHome(async ({ home, make }) => {
      await mkdir(join(home, "full"));
      await writeFile(join(home, "full", "mine.txt"), "mine");
      await assert.rejects(make("full"), /Name a folder that is empty, or isn't there/);
      assert.deepEqual(await readdir(join(home, "full")), ["mine.txt"]);
      await writeFile(join(home, "file"), "");
      await assert.rejects(make("file"), /Name a folder: /);
      await mkdir(join(home, "repository", ".git"), { recursive: true });
      assert.equal((await make("repository")).code, 0);
    }));

  test("[NEW-5] the clients on this machine find the server by files in the folder, and none is written elsewhere", () =>
    withHome(async ({ home, make }) => {
      for (const folder of [".cursor", ".config/Code", ".codex", ".gemini", ".claude"]) {
        await mkdir(join(home, folder), { recursive: true });
      }
      const before = (await readdir(home, { recursive: true })).sort();
      const bearer = { runtime: "node", transport: "http", auth: "bearer" };
      const { out } = await make("shop", bearer);
      assert.match(out, /files for Claude Code, Cursor, VS Code, Codex, Gemini CLI/);
      const after = await readdir(home, { recursive: true });
      assert.deepEqual(after.filter((path) => !/^shop/.test(path)).sort(), before);
      const url = "http://127.0.0.1:8000/mcp";
      const shop = join(home, "shop");
      const of = (Authorization: string) => ({ headers: { Authorization } });
      assert.deepEqual((await json(join(shop, ".mcp.json"))).mcpServers.shop, {
        ...{ type: "http", url },
        ...of("Bearer ${MCP_TOKEN}"),
      });
      assert.deepEqual((await json(join(shop, ".cursor/mcp.json"))).mcpServers.shop, {
        url,
        ...of("Bearer ${env:MCP_TOKEN}"),
      });
      assert.deepEqual((await json(join(shop, ".vscode/mcp.json"))).servers.shop, {
        ...{ type: "http", url },
        ...of("Bearer ${input:mcp-token}"),
      });
      assert.deepEqual((await json(join(shop, ".gemini/settings.json"))).mcpServers.shop, {
        httpUrl: url,
        ...of("Bearer $MCP_TOKEN"),
      });
      assert.equal(
        await readFile(join(shop, ".codex/config.toml"), "utf8"),
        `[mcp_servers.shop]\nurl = "${url}"\nbearer_token_env_var = "MCP_TOKEN"\n`,
      );
      // The token is in one file, which only its user reads, and no repository gets
      const token = /MCP_TOKEN=(.+)/.exec(await readFile(join(shop, ".env"), "utf8"))?.[1] ?? "";
      assert.equal(token.length, 43);
      assert.equal((await stat(join(shop, ".env"))).mode & 0o077, 0);
      assert.match(await readFile(join(shop, ".gitignore"), "utf8"), /^\.env$/m);
      for (const path of await readdir(shop, { recursive: true })) {
        const text = await readFile(join(shop, path), "utf8").catch(() => "");
        assert.equal(text.includes(token), path === ".env", path);
      }
      assert.ok(!out.includes(token));
    }));

  test("[NEW-6] the files that clients get are those that the command reads", () =>
    withHome(async ({ home, make }) => {
      await make("here", { runtime: "node", transport: "stdio" });
      for (const client of [".mcp.json"]) {
        const { code, err } = await runHere(["check", join(home, "here", client)], { HOME: home });
        assert.equal(code, 0, err);
      }
    }));

  test("[NEW-7] every project has a README of one screen, a server, its test, and a name that fits", async () => {
    assert.equal(TEMPLATES.length, 12);
    for (const choices of TEMPLATES) {
      const { files } = projectOf({ name: "shop", choices, clients: [], token: "t" });
      assert.ok((files["README.md"] ?? "").split("\n").length <= 40);
      for (const [file, text] of Object.entries(files)) {
        assert.ok(text.endsWith("\n"), file);
        if (file.endsWith(".ts")) {
          for (const line of text.split("\n")) assert.ok(line.length <= 100, `${file}: ${line}`);
        }
      }
      assert.match(files["server.test.ts"] ?? "", /@mooring\/mcp\/testing/);
    }
    assert.equal(projectName("My Server"), "my-server");
    assert.equal(projectName("42 ¡é!"), "my-server");
    assert.equal(projectName("a".repeat(90)).length, 64);
    const { dependencies, devDependencies } = await json(
      new URL("../../package.json", import.meta.url).pathname,
    );
    const tested = { ...devDependencies, ...dependencies };
    for (const [name, range] of Object.entries(NEEDED)) assert.equal(range, `^${tested[name]}`);
  });

  test("[NEW-8] create-mooring is this command, of this version", () => {
    const made = createManifest({ name: "@mooring/mcp", version: "1.2.3", license: "MIT" });
    assert.deepEqual(made["dependencies"], { "@mooring/mcp": "1.2.3" });
    assert.deepEqual(made["bin"], { "create-mooring": "create.js" });
  });
});
