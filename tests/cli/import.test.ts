/**
 * `mooring import`.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { after, beforeEach, describe, test } from "node:test";
import { parseConfig } from "../../src/cli/config/config.ts";
import { type ImportOptions, importServers } from "../../src/cli/import/import.ts";
import { replaceSecrets, VariableNames } from "../../src/cli/import/secrets.ts";
import { sourcesOf } from "../../src/cli/import/sources.ts";
import { parseJson } from "../../src/cli/config/json.ts";
import type { CommandActions } from "../../src/cli/program.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { runHere } from "./fake_io.ts";

const made: string[] = [];
after(async () => {
  for (const folder of made) await rm(folder, { recursive: true, force: true });
});

let home = "";
let project = "";
let output = "";
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "import-"));
  made.push(home);
  project = join(home, "work", "app");
  output = join(project, "mooring.json");
  await mkdir(project, { recursive: true });
});

async function write(path: string, content: unknown): Promise<string> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

/** Runs the command in the project's folder, on a machine with the home folder. */
async function run(args: readonly string[] = [], platform = "linux") {
  const unused = () => Promise.reject(new Error("Not this one"));
  const commands: CommandActions = {
    serve: unused,
    stdio: unused,
    check: unused,
    inspect: unused,
    bundle: unused,
    serverJson: unused,
    importServers: (options: ImportOptions, io) =>
      importServers(options, io, { platform, env: { HOME: home }, cwd: project }),
  };
  const result = await runHere(["import", ...args], {}, commands);
  // Nothing that is shown has a secret, and no file that is written
  const text = await readFile(output, "utf8").catch(() => "");
  assert.doesNotMatch(result.out + result.err + text, /s3cret/);
  return { ...result, text, servers: parsed(text) };
}

/** Returns the servers of a text, which may be broken. */
function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value = parseJson(text);
    const servers = isObject(value) ? value["mcpServers"] : undefined;
    return isObject(servers) ? servers : {};
  } catch {
    return {};
  }
}

const desktop = () => join(home, ".config", "Claude", "claude_desktop_config.json");

describe("mooring import", () => {
  test("[CMD-13] finds the files of each program and writes their servers without secrets", async () => {
    await write(desktop(), {
      globalShortcut: "x",
      mcpServers: {
        github: {
          command: "npx",
          args: ["-y", "server-github", "--api-key", "s3cret-argument", "--mode=fast"],
          env: { GITHUB_TOKEN: "s3cret-one", LEVEL: "info", TOKEN_FILE: "/run/x" },
        },
        db: {
          command: "pg",
          args: ["postgres://ada:s3cret-pass@db.example/x", "Authorization:${AUTH}"],
        },
      },
    });
    await write(join(home, ".claude.json"), {
      mcpServers: { user: { type: "http", url: "https://u.example/mcp?api_key=s3cret-query&v=1" } },
      projects: {
        [project]: { mcpServers: { local: { command: "x", env: {} } } },
        "/other": { mcpServers: { other: { command: "x" } } },
      },
    });
    await write(join(home, ".cursor", "mcp.json"), {
      mcpServers: {
        github: {
          command: "npx",
          args: ["-y", "server-github"],
          env: { GITHUB_TOKEN: "s3cret-two" },
        },
        remote: {
          url: "https://r.example/mcp",
          headers: { Authorization: "Bearer s3cret-header", "X-Org": "org" },
          autoApprove: ["a"],
        },
      },
    });
    await write(join(home, ".config", "Code", "User", "settings.json"), { "editor.tabSize": 2 });
    await write(
      join(project, ".vscode", "mcp.json"),
      `{ // Comment
        "inputs": [{ "type": "promptString", "id": "key" }, { "id": "region", "default": "eu" }],
        "servers": {
          "My Server": { "command": "x", "args": ["\${workspaceFolder}", "\${input:region}"],
            "env": { "KEY": "\${input:key}" }, "envFile": "../.env" },
        } }`,
    );
    const { code, out, err, servers } = await run();
    assert.equal(code, 0, err);
    assert.deepEqual(servers, {
      github: {
        command: "npx",
        args: ["-y", "server-github", "--api-key", "${GITHUB_API_KEY}", "--mode=fast"],
        env: { GITHUB_TOKEN: "${GITHUB_TOKEN}", LEVEL: "info", TOKEN_FILE: "/run/x" },
      },
      db: {
        command: "pg",
        args: ["postgres://ada:${DB_PASSWORD}@db.example/x", "Authorization:$${AUTH}"],
      },
      user: { type: "http", url: "https://u.example/mcp?api_key=${USER_API_KEY}&v=1" },
      local: { command: "x", env: {} },
      "github-2": {
        command: "npx",
        args: ["-y", "server-github"],
        env: { GITHUB_TOKEN: "${GITHUB_GITHUB_TOKEN}" },
      },
      remote: {
        url: "https://r.example/mcp",
        headers: { Authorization: "Bearer ${REMOTE_AUTHORIZATION}", "X-Org": "org" },
      },
      "My-Server": {
        command: "x",
        args: [project, "${MOORING_INPUT_REGION:-eu}"],
        env: { KEY: "${MOORING_INPUT_KEY}" },
        envFile: join(project, ".env"),
        cwd: project,
      },
    });
    for (
      const line of [
        `  Claude Desktop  ${desktop()}: github, db`,
        `  VS Code  ${join(project, ".vscode", "mcp.json")}: My-Server`,
        "  github-2: Cursor, from github: that name is taken",
        `  GITHUB_API_KEY: the value of ${desktop()}, mcpServers.github.args[3]`,
        `  REMOTE_AUTHORIZATION: the value of ${home}/.cursor/mcp.json, mcpServers.remote.headers.Authorization`,
        "  MOORING_INPUT_KEY",
      ]
    ) assert.ok(out.split("\n").includes(line), `${line}\n${out}`);
    assert.doesNotMatch(out, /settings\.json/);
    assert.match(
      err,
      /^warning: .*mcp\.json:1:\d+: mcpServers\.remote\.autoApprove: Not an approval/m,
    );
    if (process.platform !== "win32") assert.equal((await stat(output)).mode & 0o777, 0o600);
    // What is written can be served, with the variables
    await write(join(project, ".env"), "A=b\n");
    const env = {
      ...{ GITHUB_API_KEY: "a", GITHUB_TOKEN: "b", DB_PASSWORD: "c", USER_API_KEY: "d" },
      ...{ GITHUB_GITHUB_TOKEN: "e", REMOTE_AUTHORIZATION: "f", MOORING_INPUT_KEY: "g" },
    };
    const text = await readFile(output, "utf8");
    const { config, warnings } = parseConfig({ file: output, text, env });
    assert.deepEqual(warnings, []);
    assert.deepEqual(config.mcpServers["My-Server"], {
      ...{ command: "x", args: [project, "eu"], env: { A: "b", KEY: "g" }, cwd: project },
    });
    // Again: nothing is written twice
    const again = await run();
    assert.equal(again.text, text);
    assert.match(again.out, /\n {2}github-2: there already|github: there already as github-2/);
    assert.match(again.out, /Nothing to write: /);
  });

  test("[CMD-13] adds to a file, and replaces nothing of it without --force", async () => {
    const before =
      '// Mine\n{\n  "port": 9000, // Port\n  "mcpServers": { "a": { "command": "mine" } }\n}\n';
    await write(output, before);
    const from = await write(join(project, "clients.json"), {
      mcpServers: { a: { command: "theirs" }, b: { command: "y" } },
    });
    const printed = await run(["--from", from, "--print"]);
    assert.equal(printed.text, before);
    assert.deepEqual(Object.keys(parsed(printed.out)), ["a", "a-2", "b"]);
    assert.match(printed.err, /a-2: File, from a: that name is taken/);
    const added = await run(["--from", from]);
    assert.match(added.text, /^\/\/ Mine\n\{\n {2}"port": 9000, \/\/ Port\n/);
    const { config } = parseConfig({ file: output, text: added.text, env: {} });
    assert.deepEqual(config, {
      port: 9000,
      mcpServers: { a: { command: "mine" }, "a-2": { command: "theirs" }, b: { command: "y" } },
    });
    await write(output, before);
    const { text, out } = await run(["--from", from, "--force"]);
    const forced = parseConfig({ file: output, text, env: {} }).config.mcpServers;
    assert.deepEqual(forced, { a: { command: "theirs" }, b: { command: "y" } });
    assert.match(out, /\n {2}a: File, replaced\n/);
  });

  test("[CMD-13] leaves everything as it was where something is wrong", async () => {
    const none = await run();
    assert.deepEqual([none.code, none.out], [1, ""]);
    assert.match(
      none.err,
      /^Name a file with --from FILE\. There is none of:\n.*claude_desktop_config/,
    );
    const missing = await run(["--from", "nowhere.json"]);
    assert.deepEqual([missing.code, missing.out], [1, ""]);
    assert.match(missing.err, /^Name a file that exists: /);
    const misspelt = await run(["--from", "cursr"]);
    assert.deepEqual([misspelt.code, misspelt.err], [2, 'Give --from a file or cursor: "cursr"\n']);
    assert.equal((await run(["--from", "mooring.json"])).code, 2);
    // One broken file doesn't hide the others
    await write(desktop(), '{ "mcpServers": { "a": s3cret } }');
    await write(join(home, ".cursor", "mcp.json"), {
      mcpServers: { b: { command: "x" }, bad: { args: ["s3cret"] }, worse: "s3cret" },
    });
    const some = await run(["--print"]);
    assert.equal(some.code, 0);
    assert.match(
      some.err,
      /^warning: not read: .*claude_desktop_config\.json:1:\d+: Put a value here$/m,
    );
    assert.match(
      some.err,
      /mcpServers\.bad: Left out: give an object with a "command", a "url" or an "openapi"/,
    );
    assert.deepEqual(parsed(some.out), { b: { command: "x" } });
    for (
      const broken of [
        '{ "mcpServers": ',
        '{ "mcpServers": [] }',
        "[]",
        '{ "servers": { "x": {} } }',
      ]
    ) {
      await write(output, broken);
      const { code, text } = await run();
      assert.deepEqual([code, text], [1, broken]);
    }
    await rm(output);
    await mkdir(output);
    assert.equal((await run()).code, 1);
    await rm(output, { recursive: true });
    assert.equal((await run(["--output", "no/such/folder.json"])).code, 1);
    assert.deepEqual((await readdir(project)).sort(), []);
  });

  test("[CMD-13] knows secrets by their names and their forms", () => {
    const S = "s3cret-0123456789abcdef";
    const CASES: readonly (readonly [object, object])[] = [
      [{ url: `https://x.example/s/${S}/mcp` }, {
        url: "https://x.example/s/${SRV_URL_TOKEN}/mcp",
      }],
      [{ url: `https://u:${S}@x.example/a-long-but-plain-path-part` }, {
        url: "https://u:${SRV_PASSWORD}@x.example/a-long-but-plain-path-part",
      }],
      [{ args: ["mcp-remote", `https://x.example/?token=${S}&a=b`] }, {
        args: ["mcp-remote", "https://x.example/?token=${SRV_TOKEN}&a=b"],
      }],
      [{ args: ["--header", `Authorization: Bearer ${S}`] }, {
        args: ["--header", "Authorization: Bearer ${SRV_AUTHORIZATION}"],
      }],
      [{ args: ["-e", `DB_PASS=${S}`, "--token", S, `--apiKey=${S}`] }, {
        args: [
          "-e",
          "DB_PASS=${SRV_DB_PASS}",
          "--token",
          "${SRV_TOKEN}",
          "--apiKey=${SRV_API_KEY}",
        ],
      }],
      [{ args: ["ghp_s3cret0123456789", "plain", "--key-file", "/a"] }, {
        args: ["${SRV_ARGUMENT}", "plain", "--key-file", "/a"],
      }],
      [{ env: { A: `postgres://u:${S}@db/x`, PASSTHROUGH: "yes", MAX_TOKENS: "4096" } }, {
        env: { A: "postgres://u:${SRV_PASSWORD}@db/x", PASSTHROUGH: "yes", MAX_TOKENS: "4096" },
      }],
      [{ headers: { Cookie: S, "X-Api-Key": S, Accept: "a" } }, {
        headers: { Cookie: "${SRV_COOKIE}", "X-Api-Key": "${SRV_X_API_KEY}", Accept: "a" },
      }],
      [{ env: { TOKEN: "${TOKEN}", KEY: "", "$&": "$&" } }, {
        env: { TOKEN: "${TOKEN}", KEY: "", "$&": "$&" },
      }],
    ];
    for (const [given, expected] of CASES) {
      const { entry, replaced } = replaceSecrets("srv", given as JsonObject, new VariableNames());
      assert.deepEqual(entry, expected);
      assert.doesNotMatch(JSON.stringify([entry, replaced]), /s3cret/);
    }
  });

  test("[CMD-13] keeps a link and the rights of a file", async () => {
    if (process.platform === "win32") return;
    const target = await write(join(home, "real.json"), '{ "mcpServers": {} }\n');
    await chmod(target, 0o640);
    await symlink(target, output);
    await write(desktop(), { mcpServers: { a: { command: "x" } } });
    const { code, servers } = await run(["--from", "claude"]);
    assert.deepEqual([code, servers], [0, { a: { command: "x" } }]);
    assert.equal((await stat(target)).mode & 0o777, 0o640);
    assert.match(await readFile(target, "utf8"), /"command": "x"/);
  });

  test("[CMD-13] knows the places of each platform", async () => {
    const places = async (from: "claude" | "vscode" | "claude-code", platform: string, env = {}) =>
      (await sourcesOf(from, { platform, env: { HOME: home, ...env }, cwd: project }))
        .map(({ file }) => file.replace(home, "~"));
    const name = "claude_desktop_config.json";
    assert.deepEqual(await places("claude", "darwin"), [
      join("~", "Library", "Application Support", "Claude", name),
    ]);
    assert.deepEqual(await places("claude", "linux", { XDG_CONFIG_HOME: join(home, "x") }), [
      join("~", "x", "Claude", name),
    ]);
    assert.deepEqual(await places("claude", "win32", { APPDATA: join(home, "roam") }), [
      join("~", "roam", "Claude", name),
    ]);
    await mkdir(join(home, ".config", "Code", "User", "profiles", "p1"), { recursive: true });
    const code = await places("vscode", "linux");
    for (const folder of ["Code/User", "Code/User/profiles/p1", "Code - Insiders/User"]) {
      assert.ok(code.includes(join("~", ".config", folder, "mcp.json")), code.join("\n"));
    }
    assert.equal(
      (await places("claude-code", "linux", { CLAUDE_CONFIG_DIR: join(home, "c") }))[0],
      join("~", "c", ".claude.json"),
    );
  });
});

describe("[OAPI-18] an API with an OpenAPI document", () => {
  const entry = (more: JsonObject) => ({ openapi: "https://api.example/openapi.json", ...more });

  test("keeps its document, whose path is that of the imported file's folder", async () => {
    const file = join(home, "backup", "mooring.json");
    const places: readonly (readonly [given: string, written: string])[] = [
      ["books.yaml", join(home, "backup", "books.yaml")],
      ["./apis/books.yaml", join(home, "backup", "apis", "books.yaml")],
      ["../books.json", join(home, "books.json")],
      ["/srv/books.json", "/srv/books.json"],
      ["${DOCUMENTS}/books.json", "${DOCUMENTS}/books.json"],
      ["file:///srv/books.json", "file:///srv/books.json"],
      ["https://api.example/openapi.json?v=3", "https://api.example/openapi.json?v=3"],
      ["HTTP://127.0.0.1:8080/openapi", "HTTP://127.0.0.1:8080/openapi"],
    ];
    const servers = Object.fromEntries(places.map(([openapi], at) => [`api${at}`, { openapi }]));
    await write(file, { mcpServers: servers });
    const { code, err, servers: written } = await run(["--from", file]);
    assert.deepEqual([code, err], [0, ""]);
    const wanted = places.map(([, openapi], at) => [`api${at}`, { openapi }]);
    assert.deepEqual(written, Object.fromEntries(wanted));
    // What was written can be read, by a file in another folder.
    const text = JSON.stringify({ mcpServers: written });
    const { config } = parseConfig({ file: output, text, env: { DOCUMENTS: "/srv" } });
    assert.ok(config.mcpServers.api0 !== undefined && "openapi" in config.mcpServers.api0);
    assert.equal(config.mcpServers.api0.openapi, join(home, "backup", "books.yaml"));
  });

  test("has its credentials as variables, whatever they look like", async () => {
    const cases: readonly (readonly [given: JsonObject, written: JsonObject])[] = [
      [{ auth: "plain" }, { auth: "${BOOKS_AUTH}" }],
      [{ auth: "12345" }, { auth: "${BOOKS_AUTH}" }],
      [{ auth: "ada:s3cret" }, { auth: "${BOOKS_AUTH}" }],
      [{ auth: "${TOKEN}" }, { auth: "${TOKEN}" }],
      [{ auth: { schemes: { apiKey: "s3cret", "app-key": "s3cret2", kept: "${KEY}" } } }, {
        auth: {
          schemes: {
            apiKey: "${BOOKS_API_KEY}",
            "app-key": "${BOOKS_APP_KEY}",
            kept: "${KEY}",
          },
        },
      }],
      [{ openapi: "https://api.example/a.json?key=s3cret" }, {
        openapi: "https://api.example/a.json?key=${BOOKS_KEY}",
      }],
      [{ baseUrl: "https://api.example/v1/s3cret0123456789abcdef" }, {
        baseUrl: "https://api.example/v1/${BOOKS_URL_TOKEN}",
      }],
      [{ headers: { "X-Api-Key": "s3cret" } }, { headers: { "X-Api-Key": "${BOOKS_X_API_KEY}" } }],
    ];
    for (const [given, written] of cases) {
      const { entry: clean } = replaceSecrets("books", entry(given), new VariableNames());
      assert.deepEqual(clean, entry(written));
    }
    const file = await write(join(home, "mine.json"), {
      mcpServers: { books: entry({ auth: "s3cret", baseUrl: "https://api.example" }) },
    });
    const { out, servers } = await run(["--from", file]);
    assert.deepEqual(servers, {
      books: entry({ auth: "${BOOKS_AUTH}", baseUrl: "https://api.example" }),
    });
    assert.match(out, /BOOKS_AUTH: the value of .*mine\.json, mcpServers\.books\.auth/);
  });

  test("is left out without a document, with what to give", async () => {
    const file = await write(join(home, "mine.json"), {
      mcpServers: { books: { openapi: 7 }, other: { openapi: "./a.json" } },
    });
    const { err, servers } = await run(["--from", file]);
    assert.match(err, /mcpServers\.books: Left out: give an object with .* or an "openapi"/);
    assert.deepEqual(Object.keys(servers), ["other"]);
  });
});
