/**
 * Configuration files of other programs, read as they are.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join, sep } from "node:path";
import process from "node:process";
import { after, describe, test } from "node:test";
import fc from "fast-check";
import { parseConfig } from "../../src/cli/config/config.ts";
import { parseEnvFile } from "../../src/cli/config/env_file.ts";
import { CliError } from "../../src/cli/errors.ts";
import { Secrets } from "../../src/cli/redact.ts";
import { runHere } from "./fake_io.ts";
import { counter, reach, serving, textOf } from "./program.ts";

const ENV = { TOKEN: "s3cret-token-0123", PATH: "/bin", HOME: "/home/ada" };

const made: string[] = [];
after(async () => {
  for (const folder of made) await rm(folder, { recursive: true, force: true });
});

/** Makes a folder with files in it. */
async function folderWith(files: Readonly<Record<string, unknown>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "clients-"));
  made.push(folder);
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    const text = typeof content === "string" ? content : JSON.stringify(content);
    await writeFile(join(folder, path), text);
  }
  return folder;
}

interface Given {
  readonly env?: Readonly<Record<string, string>>;
  readonly inputs?: Readonly<Record<string, string>>;
}

function read(file: string, value: unknown, { env = ENV, inputs }: Given = {}) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const { config, warnings, secrets } = parseConfig({ file, text, env, inputs });
  const known = new Secrets();
  known.add(secrets);
  return { servers: config.mcpServers, warnings, redact: known.redact };
}

/** Returns the lines of the error about a file. */
function errors(file: string, value: unknown, given: Given = {}): string[] {
  try {
    read(file, value, given);
  } catch (error) {
    assert.ok(error instanceof Error);
    assert.doesNotMatch(error.message, /s3cret/);
    return error.message.split("\n");
  }
  throw new Error("Nothing was wrong");
}

/** Leaves the places out of warnings. */
const unplaced = (lines: readonly string[]) =>
  lines.map((line) => line.replace(/^.*?:\d+:\d+: /, ""));

describe("files of other programs", () => {
  test("[CMD-10] a VS Code file is served, and each key that isn't honoured has a line", () => {
    const text = `{
  // Asked for once
  "inputs": [
    { "type": "promptString", "id": "api-key", "description": "API key", "password": true },
    { "type": "pickString", "id": "region", "options": ["eu", { "value": "us" }], "default": "eu" },
  ],
  "servers": {
    "My Notes": {
      "type": "stdio",
      "command": "~/bin/notes",
      "args": ["--folder", "\${workspaceFolder}/notes", "--region=\${input:region}"],
      "env": { "KEY": "\${input:api-key}", "PORT": 8080, "GONE": null, "PATH": "/opt/bin" },
      "sandboxEnabled": true,
      "dev": { "watch": "src/**" },
    },
    "tickets": {
      "type": "sse",
      "url": "https://tickets.example/sse",
      "headers": { "Authorization": "Bearer \${env:TOKEN}" },
    },
    "off": { "command": "x", "args": ["\${input:never}"], "disabled": true },
    "socket": { "type": "http", "url": "unix:///tmp/mcp.sock" },
  },
}`;
    const env = { ...ENV, MOORING_INPUT_API_KEY: "s3cret-of-the-input" };
    const { servers, warnings, redact } = read("/srv/app/.vscode/mcp.json", text, { env });
    assert.deepEqual(servers, {
      "My-Notes": {
        type: "stdio",
        command: "/home/ada/bin/notes",
        args: ["--folder", "/srv/app/notes", "--region=eu"],
        env: { KEY: "s3cret-of-the-input", PORT: "8080", PATH: `/bin${delimiter}/opt/bin` },
        cwd: "/srv/app",
      },
      tickets: {
        url: "https://tickets.example/sse",
        headers: { Authorization: `Bearer ${ENV.TOKEN}` },
      },
      off: { command: "x", args: ["${MOORING_INPUT_NEVER}"], disabled: true, cwd: "/srv/app" },
    });
    assert.deepEqual(
      warnings.map((line) => line.replace("/srv/app/.vscode/mcp.json:", "").slice(0, 62)),
      [
        '8:5: servers["My Notes"]: Served as "My-Notes", a name without',
        '12:57: servers["My Notes"].env.GONE: Left out: a program gets ',
        '13:7: servers["My Notes"].sandboxEnabled: Not honoured: the pr',
        '14:7: servers["My Notes"].dev: Not honoured: the server isn\'t ',
        '17:7: servers.tickets.type: Tried as Streamable HTTP: "sse" is',
        "22:33: servers.socket.url: Left out: only http and https URLs ",
      ],
    );
    assert.equal(redact("s3cret-of-the-input"), "[secret]");
  });

  test("[CMD-10] approvals of a client's user are no policy here, in any file", () => {
    const mcpServers = {
      a: { command: "x", autoApprove: ["read"], alwaysAllow: ["*"], disabled: false, timeout: 60 },
      b: { command: "x", autoApprove: [], alwaysAllow: [], disabledTools: [] },
      c: { url: "https://x.example", disabledTools: ["rm"], headersHelper: "./token.sh" },
    };
    const files = [
      "mooring.json",
      "/home/ada/.cursor/mcp.json",
      "/p/.mcp.json",
      "m/mcp_settings.json",
    ];
    for (const file of files) {
      const { warnings, servers } = read(file, { mcpServers });
      assert.deepEqual(unplaced(warnings).map((line) => line.split(". ")[0]), [
        "mcpServers.a.autoApprove: Not an approval policy here: which calls need no question is " +
        "decided by each client",
        "mcpServers.a.alwaysAllow: Not an approval policy here: which calls need no question is " +
        "decided by each client",
        "mcpServers.a.timeout: Not honoured: programs differ in its unit",
        "mcpServers.c.disabledTools: Not honoured: every tool of the server is served",
        "mcpServers.c.headersHelper: Not honoured: the program isn't run",
      ], file);
      const { cwd: _cwd, ...a } = { cwd: "", ...servers["a"] };
      assert.deepEqual(a, { command: "x", disabled: false });
    }
  });

  test("[CMD-10] other settings of a program aren't read, misspelt keys stay mistakes", () => {
    const desktop = {
      globalShortcut: "Ctrl+Space",
      port: 1,
      mcpServers: {
        a: { command: "x", args: ["Authorization:${AUTH}", "${HOME}"], env: { AUTH: "b" } },
      },
    };
    const { servers, warnings } = read("/c/claude_desktop_config.json", desktop);
    // The program fills its own variable in
    assert.deepEqual(servers["a"], {
      command: "x",
      args: ["Authorization:${AUTH}", "${HOME}"],
      env: { AUTH: "b" },
    });
    assert.deepEqual(unplaced(warnings), [
      "Only the servers are read: Claude Desktop has 2 other settings here",
      'mcpServers.a.args[1]: "${HOME}" is taken as plain text, as Claude Desktop does',
    ]);
    const claude = {
      numStartups: 9,
      projects: { "/p": { mcpServers: { q: { command: "y" } } } },
      mcpServers: {
        a: { type: "stdio", command: "x", env: {} },
        w: { type: "ws", url: "wss://x" },
      },
    };
    const code = read("/home/ada/.claude.json", claude);
    assert.deepEqual(code.servers, { a: { type: "stdio", command: "x", env: {} } });
    assert.deepEqual(unplaced(code.warnings).map((line) => line.slice(0, 50)), [
      "Only the servers are read: Claude Code has 2 other",
      "projects: Not honoured: servers of single projects",
      "mcpServers.w.type: Left out: servers of this type ",
    ]);
    const settings = { "editor.tabSize": 2, mcp: { inputs: [], servers: { a: { command: "x" } } } };
    assert.deepEqual(Object.keys(read("/c/Code/User/settings.json", settings).servers), ["a"]);
    // What stands for a known key isn't left out
    assert.deepEqual(
      unplaced(errors("/p/.mcp.json", { mcpServers: { a: { url: "http://x", hedaers: {} } } })),
      [
        'mcpServers.a.hedaers: Unknown key. Did you mean "headers"?',
      ],
    );
    const unknown = read("/p/.cursor/mcp.json", {
      version: 1,
      mcpServers: { a: { command: "x", icon: "i" } },
    });
    assert.deepEqual(unplaced(unknown.warnings), [
      "version: Not honoured: an unknown key of Cursor",
      "mcpServers.a.icon: Not honoured: an unknown key of Cursor",
    ]);
  });

  test("[CMD-10] names that can't be served get others, and no two the same", () => {
    const server = { command: "x" };
    const servers = {
      "a b": server,
      "a-b": server,
      "a/b": server,
      "x__y": server,
      "é": server,
      "日": server,
    };
    const { servers: read_, warnings } = read("/p/.vscode/mcp.json", { servers });
    assert.deepEqual(Object.keys(read_), ["a-b", "a-b-2", "a-b-3", "x_y", "e", "server"]);
    assert.equal(warnings.length, 6);
    const wrong = { servers: { "a b": { command: 1 } } };
    assert.deepEqual(unplaced(errors("/p/.vscode/mcp.json", wrong)), [
      'servers["a b"].command: Give a string',
    ]);
  });

  test("[CMD-11] variables mean what they mean to the file's own program", () => {
    const args = [
      "${env:TOKEN}",
      "${workspaceFolder}|${workspaceFolderBasename}|${userHome}|${/}|${pathSeparator}",
      "${TOKEN}",
      "$TOKEN",
    ];
    const argsIn = (file: string, given = args) => {
      const { servers, warnings } = read(file, {
        mcpServers: { a: { command: "x", args: given } },
      });
      const entry = servers["a"];
      assert.ok(entry !== undefined && "command" in entry);
      return { args: entry.args, warnings: unplaced(warnings) };
    };
    const places = `/p|p|/home/ada|${sep}|${sep}`;
    const cursor = argsIn("/p/.cursor/mcp.json");
    assert.deepEqual(cursor.args, [ENV.TOKEN, places, "${TOKEN}", "$TOKEN"]);
    assert.deepEqual(cursor.warnings, [
      'mcpServers.a.args[2]: "${TOKEN}" is taken as plain text, as Cursor does. Write "${env:TOKEN}" ' +
      "for the variable",
    ]);
    for (const file of ["/p/.mcp.json", "/p/mooring.json"]) {
      assert.deepEqual(argsIn(file), {
        args: [ENV.TOKEN, places, ENV.TOKEN, "$TOKEN"],
        warnings: [],
      });
    }
    assert.deepEqual(argsIn("/p/mooring.json", ["$${env:TOKEN}", "$${TOKEN}", "$${/}"]), {
      args: ["${env:TOKEN}", "${TOKEN}", "${/}"],
      warnings: [],
    });
    // A file of no project
    const all = argsIn("/home/ada/.cursor/mcp.json", ["${workspaceFolder}"]);
    assert.deepEqual(all.args, [process.cwd()]);
    assert.match(all.warnings[0] ?? "", /is the folder in which this command runs/);
    const wrong = ["${env:NOPE}", "${config:a.s3cret}", "${env:a-b}", "$${env:TOKEN}"];
    assert.deepEqual(
      unplaced(errors("/p/.cursor/mcp.json", { mcpServers: { a: { command: "x", args: wrong } } })),
      [
        "mcpServers.a.args[0]: Set the environment variable NOPE",
        'mcpServers.a.args[1]: Write the value in place of the variable: only an editor knows "config"',
        'mcpServers.a.args[2]: Write a variable as "${env:NAME}"',
        'mcpServers.a.args[3]: Leave out the "$" before this variable: it would make it plain text',
      ],
    );
  });

  test("[CMD-11] an input that has no value names how to give it", () => {
    const file = "/p/.vscode/mcp.json";
    const value = {
      inputs: [
        { type: "promptString", id: "api-key", description: "API key", password: true },
        { type: "pickString", id: "region", description: "Region", options: ["eu", "us"] },
        { type: "command", id: "made", command: "editor.make" },
      ],
      servers: {
        a: {
          command: "x",
          args: ["${input:region}"],
          env: { KEY: "${input:api-key}", M: "${input:made}" },
        },
      },
    };
    const lines = unplaced(errors(file, value));
    assert.deepEqual(lines, [
      'servers.a.args[0]: Give the input "region" (Region): set the environment variable ' +
      "MOORING_INPUT_REGION, or use --input region=VALUE",
      'servers.a.env.KEY: Give the input "api-key" (API key): set the environment variable ' +
      "MOORING_INPUT_API_KEY, or use --input api-key=VALUE",
      'servers.a.env.M: Give the input "made": set the environment variable MOORING_INPUT_MADE, or ' +
      "use --input made=VALUE",
    ]);
    const env = { ...ENV, MOORING_INPUT_MADE: "m", MOORING_INPUT_REGION: "asia" };
    assert.deepEqual(
      unplaced(errors(file, value, { env, inputs: { "api-key": "s3cret-given" } })),
      [
        'inputs[1]: Give this input one of its options, "eu", "us"',
      ],
    );
    const inputs = { "api-key": "s3cret-given", region: "us" };
    const given = read(file, value, { env, inputs });
    assert.deepEqual(given.servers["a"], {
      command: "x",
      args: ["us"],
      env: { KEY: "s3cret-given", M: "m" },
      cwd: "/p",
    });
    assert.equal(given.redact("s3cret-given"), "[secret]");
    assert.deepEqual(unplaced(given.warnings).map((line) => line.slice(0, 60)), [
      "inputs[0]: Other users of this machine can read command line",
      "inputs[2].command: Not honoured: the editor's command isn't ",
    ]);
    // A variable keeps the value out of the command line
    const safe = read(file, value, { env, inputs: { "api-key": "${TOKEN}", region: "us" } });
    assert.equal(safe.warnings.length, 1);
    assert.throws(() => read(file, value, { inputs: { other: "s3cret" } }), {
      message:
        'Give --input the id of an input, those of the file are api-key, region, made: "other"',
    });
    const undescribed = {
      servers: { a: { url: "https://x.example", headers: { A: "${input:q}" } } },
    };
    assert.deepEqual(unplaced(errors(file, undescribed)), [
      'servers.a.headers.A: Give the input "q": set the environment variable MOORING_INPUT_Q, or use ' +
      "--input q=VALUE",
    ]);
    assert.deepEqual(read(file, undescribed, { inputs: { q: "given" } }).servers["a"], {
      ...{ url: "https://x.example", headers: { A: "given" } },
    });
    const twice = { ...value, inputs: [...value.inputs, { id: "api_key" }, 1] };
    assert.deepEqual(unplaced(errors(file, twice, { env, inputs })).slice(0, 2), [
      "inputs[3]: Rename one of two inputs: both are MOORING_INPUT_API_KEY",
      'inputs[4]: Give a list of inputs, each with an "id"',
    ]);
  });

  test("[CMD-12] the variables of an envFile reach the program, below those of env", async () => {
    const folder = await folderWith({
      ".env": "A=from-file-1\nB=from-file-2\nC=${TOKEN}\n",
      ".vscode/own.env": "A=own-file-1\nno assignment\n",
    });
    const file = join(folder, ".vscode", "mcp.json");
    const at = (envFile: unknown, more: object = {}) => ({
      servers: { a: { command: "x", envFile, env: { B: "from-env" }, ...more } },
    });
    const { servers, warnings, redact } = read(file, at("${workspaceFolder}/.env"));
    // Variables in the file aren't replaced
    assert.deepEqual(servers["a"], {
      command: "x",
      env: { A: "from-file-1", B: "from-env", C: "${TOKEN}" },
      cwd: folder,
    });
    assert.deepEqual([warnings, redact("from-file-1")], [[], "[secret]"]);
    const beside = read(file, at("own.env"));
    assert.deepEqual(unplaced(beside.warnings), [
      "servers.a.envFile: Left out: lines of this file that aren't NAME=value, or its quotes don't " +
      "end: 2",
    ]);
    const [missing = "", ...others] = unplaced(errors(file, at(".env")));
    assert.deepEqual(others, []);
    assert.equal(
      missing,
      `servers.a.envFile: Create this file, or correct its name: "${
        join(folder, ".vscode", ".env")
      }". ` +
        "There is one in the project's folder: begin the path with ${workspaceFolder}/",
    );
    assert.deepEqual(unplaced(errors(file, at("${env:NOPE}"))), [
      "servers.a.envFile: Set the environment variable NOPE",
    ]);
    // A path that has a variable is shown without its value
    assert.match(
      errors(file, at("${env:TOKEN}.env"))[0] ?? "",
      /correct its name: "\$\{TOKEN\}\.env"$/,
    );
    assert.match(errors(file, at(folder))[0] ?? "", /envFile: Name a file: /);
    assert.match(errors(file, at(1))[0] ?? "", /envFile: Give the path of a file$/);
    // It isn't needed
    assert.equal(read(file, at(".env", { disabled: true })).warnings.length, 0);
    const url = { servers: { a: { url: "https://x.example", envFile: ".env" } } };
    assert.deepEqual(unplaced(read(file, url).warnings), [
      "servers.a.envFile: Not honoured: only programs have environment variables",
    ]);
    // Mooring's own files have the key too
    const mooring = { mcpServers: { a: { command: "x", envFile: ".env" } } };
    assert.deepEqual(read(join(folder, "mooring.json"), mooring).servers["a"], {
      command: "x",
      env: { A: "from-file-1", B: "from-file-2", C: "${TOKEN}" },
    });
  });

  test("[CMD-12] parseEnvFile() follows the rules that are documented", () => {
    const text = [
      "\uFEFF# comment",
      "A=1",
      "  export B = two words  # comment",
      "C=a#b",
      'D="x\\ny \\"q\\" \\\\n #no" # comment',
      "E='raw \\n ${A}'",
      "F=`tick`",
      "G=",
      'H="two',
      'lines"',
      "A=last",
      "not one",
      "1X=bad",
      'I="open',
      "J=after",
    ].join("\r\n");
    const { values, broken } = parseEnvFile(text);
    assert.deepEqual(values, {
      A: "last",
      B: "two words",
      C: "a#b",
      D: 'x\ny "q" \\n #no',
      E: "raw \\n ${A}",
      F: "tick",
      G: "",
      H: "two\nlines",
      J: "after",
    });
    assert.deepEqual(broken, [12, 13, 14]);
    assert.deepEqual(parseEnvFile("__proto__=x").values, Object.fromEntries([["__proto__", "x"]]));
    // Takes time in proportion to its length
    const hostile = [
      `A=${" ".repeat(500_000)}x`,
      `A="${"\\".repeat(500_000)}`,
      "=".repeat(500_000),
    ];
    assert.equal(parseEnvFile(hostile.join("\n")).broken.length, 2);
  });

  test("[CMD-10] check writes the warnings, and no secret", async () => {
    const folder = await folderWith({
      ".vscode/mcp.json": {
        inputs: [{ type: "promptString", id: "k", password: true }],
        servers: { c: { ...counter("c"), env: { K: "${input:k}" }, autoApprove: ["s3cret-tool"] } },
      },
    });
    const file = join(folder, ".vscode", "mcp.json");
    const env = { PATH: process.env["PATH"] ?? "" };
    const { code, out, err } = await runHere(["check", file, "--input", "k=s3cret-value"], env);
    assert.deepEqual([code, out.split("\n")[0]], [0, "OK"]);
    const [first = "", second = ""] = err.split("\n");
    assert.match(first, /^warning: .*mcp\.json:1:\d+: inputs\[0\]: Other users/);
    assert.match(second, /^warning: .*mcp\.json:1:\d+: servers\.c\.autoApprove: Not an approval/);
    const missing = await runHere(["check", file], env);
    assert.equal(missing.code, 1);
    assert.match(missing.err, /servers\.c\.env\.K: Give the input "k": set .* MOORING_INPUT_K/);
    assert.doesNotMatch(out + err + missing.err, /s3cret/);
    const usage = await runHere(["check", file, "--input", "s3cret"], env);
    assert.deepEqual([usage.code, usage.err], [2, "Give --input an ID=VALUE\n"]);
  });

  test("[CMD-10] inspect shows the servers of a file, and stdio and serve log what isn't honoured", async () => {
    const servers = { one: { ...counter("one"), alwaysAllow: ["next"] }, two: counter("two") };
    const folder = await folderWith({ ".vscode/mcp.json": { servers } });
    const file = join(folder, ".vscode", "mcp.json");
    const both = JSON.parse((await runHere(["inspect", file, "--json"])).out);
    const names = both.tools.map(({ name }: { name: string }) => name);
    assert.ok(names.some((name: string) => name.startsWith("one__")), names.join());
    assert.ok(names.some((name: string) => name.startsWith("two__")), names.join());
    const one = await runHere(["inspect", file, "--server", "one"]);
    assert.deepEqual([one.code, one.out.includes(`at ${file}, one`)], [0, true], one.err);
    assert.match(one.err, /^warning: .*: servers\.one\.alwaysAllow: Not an approval policy/);
    const unknown = await runHere(["inspect", file, "--server", "three"]);
    assert.equal(unknown.code, 2);
    assert.match(
      unknown.err,
      /^.*\nGive the name of a server of the file, which are "one", "two": "three"\n$/,
    );
    assert.match(
      (await runHere(["inspect", "http://x", "--server", "a"])).err,
      /^Give --server only with a file/,
    );
    assert.match(
      (await runHere(["inspect", file, "--header", "A: b"])).err,
      /^Give --header only with a URL/,
    );
    await serving(["--config", file], async (program, url) => {
      assert.match(
        program.err,
        /"level":"warn","event":"not-honoured","message":"[^"]*servers\.one\.alwaysAllow/,
      );
      const client = await reach(url);
      assert.equal(await textOf(client, "one__count"), "1");
      await client.close();
    });
  });

  test("[CMD-10, CMD-12] bundle makes settings of inputs and of an envFile's names", async () => {
    const folder = await folderWith({
      "package.json": { version: "1.0.0", description: "Notes", author: "Ada" },
      "server.js": "",
      ".env": "API_KEY=s3cret-of-the-file\n",
      ".vscode/mcp.json": {
        inputs: [
          { type: "promptString", id: "api-token", description: "Token", password: true },
          { type: "pickString", id: "region", options: ["eu", "us"], default: "eu" },
        ],
        servers: {
          notes: {
            command: "node",
            args: ["${workspaceFolder}/server.js", "${input:region}"],
            env: { TOKEN: "${input:api-token}", HOST: "${env:NOTES_HOST}" },
            envFile: "${workspaceFolder}/.env",
            autoApprove: ["*"],
          },
        },
      },
    });
    const env = {
      MOORING_INPUT_API_TOKEN: "s3cret-of-the-input",
      NOTES_HOST: "s3cret-host",
      HOME: folder,
    };
    const args = ["bundle", join(folder, ".vscode", "mcp.json"), "--dir", folder, "--print"];
    const { code, out, err } = await runHere(args, env);
    assert.equal(code, 0, err);
    assert.match(err, /^warning: .*servers\.notes\.autoApprove: Not an approval policy[^\n]*\n/);
    assert.doesNotMatch(out + err, /s3cret/);
    const { server, user_config: settings } = JSON.parse(out);
    assert.deepEqual(server.mcp_config, {
      command: "node",
      args: ["${__dirname}/server.js", "${user_config.mooring_input_region}"],
      env: {
        API_KEY: "${user_config.api_key}",
        TOKEN: "${user_config.mooring_input_api_token}",
        HOST: "${user_config.notes_host}",
      },
    });
    assert.deepEqual(settings.mooring_input_api_token, {
      ...{
        type: "string",
        title: "api-token",
        description: "Token",
        sensitive: true,
        required: true,
      },
    });
    assert.deepEqual([settings.mooring_input_region.default, settings.api_key.sensitive], [
      "eu",
      true,
    ]);
  });

  test("[CMD-10] whatever a file has, the error is about the configuration, without values", () => {
    const files = [
      "/p/.vscode/mcp.json",
      "/p/.cursor/mcp.json",
      "/h/.claude.json",
      "m.json",
      "/c/User/settings.json",
    ];
    const keys = [
      "command",
      "url",
      "type",
      "env",
      "envFile",
      "args",
      "headers",
      "cwd",
      "autoApprove",
      "__proto__",
      "disabled",
    ];
    const text = fc.constantFrom(
      ...[
        "v4lue",
        "${env:s3cret-}",
        "${input:s3cret}",
        "$${env:TOKEN}",
        "${",
        "sse",
        "\u0000",
        "~/x",
        "${/}",
      ],
    );
    const leaf = fc.oneof(
      text,
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.array(text),
      fc.dictionary(fc.constantFrom("k", "${env:TOKEN}", "__proto__"), text),
    );
    const server = fc.oneof(
      leaf,
      fc.dictionary(fc.constantFrom(...keys), leaf).map(({ envFile, ...rest }) => ({
        ...rest,
        // A missing file is named
        ...envFile !== undefined && { envFile: "${env:TOKEN}/x" },
      })),
    );
    const servers = fc.oneof(
      leaf,
      fc.dictionary(fc.constantFrom("a", "a b", "__proto__", "", "x__y"), server),
    );
    const inputs = fc.oneof(
      leaf,
      fc.array(
        fc.record({
          id: fc.constantFrom("id", "", 1, null),
          options: leaf,
          default: leaf,
          type: leaf,
        }),
      ),
    );
    const value = fc.record({
      mcpServers: servers,
      servers,
      inputs,
      mcp: fc.record({ servers, inputs }),
      projects: leaf,
    }, { requiredKeys: [] });
    fc.assert(
      fc.property(fc.constantFrom(...files), value, (file, given) => {
        try {
          read(file, given);
        } catch (error) {
          assert.ok(
            error instanceof CliError,
            error instanceof Error ? error.stack : String(error),
          );
          assert.doesNotMatch(error.message, /v4lue/);
          for (const line of error.message.split("\n")) assert.match(line, /^[^:]+:\d+:\d+: |^--/);
        }
      }),
      { numRuns: 300 },
    );
  });

  test("[CMD-10] a file with thousands of such keys is read at once, with a hundred warnings", () => {
    const many = Object.fromEntries(
      Array.from({ length: 20_000 }, (_, at) => [`unknown-key-${at}`, 1]),
    );
    const { warnings } = read("/p/.cursor/mcp.json", {
      mcpServers: { a: { command: "x", ...many } },
    });
    assert.equal(warnings.length, 101);
    assert.equal(warnings.at(-1), "/p/.cursor/mcp.json: 19900 more warnings aren't shown");
  });
});
