/**
 * The command line: options, their values, hints and help.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import process from "node:process";
import { test } from "node:test";
import { configFromOptions, type ServeCommandOptions } from "../../src/cli/config/serve_options.ts";
import type { CommandActions } from "../../src/cli/program.ts";
import { VERSION } from "../../src/cli/version.ts";
import { runHere } from "./fake_io.ts";

/** Runs a command line whose commands do nothing, and returns what they were called with. */
async function parse(...args: string[]) {
  const calls: unknown[][] = [];
  const record = (name: string) => (...given: unknown[]) => {
    calls.push([name, ...given.slice(0, -1)]);
    return Promise.resolve(0 as const);
  };
  const commands: CommandActions = {
    serve: record("serve"),
    stdio: record("stdio"),
    check: record("check"),
    inspect: record("inspect"),
    bundle: record("bundle"),
    serverJson: record("server-json"),
    importServers: record("import"),
  };
  return { calls, ...await runHere(args, {}, commands) };
}

async function serveOptions(...args: string[]): Promise<ServeCommandOptions> {
  const { calls: [call], err } = await parse("serve", ...args);
  assert.ok(call !== undefined, err);
  return call[1] as ServeCommandOptions;
}

test("options have values in both forms, and arrive with their commands", async () => {
  const { calls, code, out, err } = await parse(
    ...["serve", "--stdio", "npx x", "--port=0", "--no-auth", "--env", "A", "--env=B=--c"],
  );
  assert.deepEqual([code, out, err], [0, "", ""]);
  const env = { A: "${A}", B: "--c" };
  assert.deepEqual(calls, [["serve", { stdio: ["npx", "x"], port: "0", auth: false, env }]]);
  assert.deepEqual(await serveOptions("--host=--x", "--allow-host", "a", "--allow-host=b"), {
    host: "--x",
    allowHost: ["a", "b"],
    auth: true,
  });
  const checked = await parse("check", "--connect", "a.json");
  assert.deepEqual(checked.calls, [["check", "a.json", { connect: true }]]);
  const inspected = await parse("inspect", "http://x", "--header", "__proto__: a", "--header=B:b");
  const header = Object.fromEntries([["__proto__", "a"], ["B", "b"]]);
  assert.deepEqual(inspected.calls, [["inspect", "http://x", { timeout: 30, header }]]);
});

test("help and the version are shown wherever they are asked for", async () => {
  const overview = (await parse("--help")).out;
  assert.match(overview, /^Usage: mooring /);
  for (const args of [[], ["-h"], ["help"]]) {
    assert.deepEqual(await parse(...args), { calls: [], code: 0, out: overview, err: "" });
  }
  const serve = (await parse("serve", "--help")).out;
  assert.match(serve, /^Usage: mooring serve /);
  for (const args of [["serve", "-h", "--port", "1"], ["help", "serve"]]) {
    assert.deepEqual(await parse(...args), { calls: [], code: 0, out: serve, err: "" });
  }
  for (const args of [["--version"], ["-v"], ["version"]]) {
    const out = `mooring ${VERSION}\n`;
    assert.deepEqual(await parse(...args), { calls: [], code: 0, out, err: "" });
  }
});

const REFUSED: readonly (readonly [readonly string[], RegExp])[] = [
  [["sreve"], /^Unknown command "sreve"\. Did you mean mooring serve\?\n$/],
  [["bananas"], /^Unknown command "bananas"\. See mooring --help\n$/],
  [["help", "bananas"], /^Unknown command "bananas"\. See mooring --help\n$/],
  [["--"], /^Give a command\. See mooring --help\n$/],
  [["--bananas"], /^Unknown option "--bananas"\. See mooring --help\n$/],
  [["serve", "--prot", "1"], /^Unknown option "--prot"\. Did you mean --port\?\n$/],
  [["serve", "--hostname", "x"], /Did you mean --host\?/],
  [["serve", "--token", "s3cret"], /read command lines\. Did you mean --token-env\?/],
  [["serve", "--token=s3cret"], /^Unknown option "--token"\. .* Did you mean --token-env\?/],
  [["serve", "--bananas=s3cret"], /^Unknown option "--bananas"\. See mooring serve --help\n$/],
  [["serve", "-p", "1"], /^Unknown option "-p"\. See/],
  [["serve", "-ps3cret"], /^Unknown option "-p"\. See/],
  [["serve", "--version"], /^Unknown option "--version"\. See/],
  [["serve", "--port"], /^Give a value: --port PORT\n$/],
  [["serve", "--port="], /^Give a value: --port PORT\n$/],
  [["serve", "--port", "--host"], /^Give a value: --port PORT\n$/],
  [["serve", "--no-auth=yes"], /^Give --no-auth without a value\n$/],
  [["serve", "--port", "1", "--port", "2"], /^Give --port only once\n$/],
  [["serve", "--no-auth", "--no-auth"], /^Give --no-auth only once\n$/],
  [["serve", "npx", "x"], /^Leave this out, or put it in quotes after --stdio: "npx"\n$/],
  [["serve", "--header", "s3cret"], /^Give --header a "NAME: VALUE"\n$/],
  [["serve", "--env", "s3-cret=1"], /^Give --env a NAME, or NAME=VALUE\n$/],
  [["serve", "--stdio", "a | b"], /^No shell runs the command\. /],
  [["check"], /^Give what to check: mooring check FILE\n$/],
  [["check", "a", "b"], /^Leave this out: "b"\n$/],
  [["bundle"], /^Give what to bundle: mooring bundle FILE\n$/],
  [["server-json", "http://x"], /^Give a value: --name NAME\n$/],
  [["inspect"], /^Give what to inspect: mooring inspect URL\n$/],
  [["inspect", "http://x", "--timeout", "0"], /whole number from 1 to 86400 to --timeout: "0"\n$/],
];

for (const [args, message] of REFUSED) {
  test(`a command line is refused: ${args.join(" ")}`, async () => {
    const { calls, code, out, err } = await parse(...args);
    assert.deepEqual([calls, code, out], [[], 2, ""]);
    assert.match(err, message);
    assert.doesNotMatch(err, /s3-?cret/);
  });
}

test("the parser itself neither writes to the console nor ends the process", async () => {
  const { exitCode, stdout, stderr } = process;
  const { exit } = process;
  const [out, err] = [stdout.write, stderr.write];
  const done: string[] = [];
  const note = (name: string) => () => done.push(name) > 0;
  // The assertions run after everything is as it was: they, and the test runner, write themselves
  try {
    process.exit = note("exit") as unknown as typeof exit;
    stdout.write = note("stdout");
    stderr.write = note("stderr");
    for (const args of [[], ["--version"], ["serve", "--help"], ["bananas"], ["serve", "--x"]]) {
      await parse(...args);
    }
  } finally {
    process.exit = exit;
    [stdout.write, stderr.write] = [out, err];
  }
  assert.deepEqual([done, process.exitCode], [[], exitCode]);
});

test("configFromOptions() gives options the keys of the file", async () => {
  const { values, optionAt } = configFromOptions(
    await serveOptions(
      ...["--stdio", "npx -y 'a b'", "--env", "KEY", "--env", "X=1=2", "--cwd", "/tmp"],
      ...["--port", "9", "--allow-origin", "https://a.example", "--token-env", "TOKEN"],
    ),
  );
  assert.deepEqual(values, {
    port: "9",
    allowedOrigins: ["https://a.example"],
    auth: { tokens: [{ id: "token", token: "${TOKEN}" }] },
    mcpServers: {
      server: {
        command: "npx",
        args: ["-y", "a b"],
        env: { KEY: "${KEY}", X: "1=2" },
        cwd: "/tmp",
      },
    },
  });
  assert.equal(optionAt(["port"]), "--port");
  assert.equal(optionAt(["allowedOrigins", 0]), "--allow-origin");
  assert.equal(optionAt(["mcpServers", "server", "env", "KEY"]), "--env");
  assert.equal(optionAt(["auth", "tokens", 0, "token"]), "--token-env");
  assert.equal(optionAt(["limits"]), undefined);
});

const EXCLUSIVE: readonly (readonly [readonly string[], RegExp])[] = [
  [[], /Give what to serve/],
  [["--stdio", "a", "--http", "http://x"], /either --stdio or --http/],
  [["--config", "a", "--http", "http://x"], /either --config or --http/],
  [["--config", "a", "--env", "X"], /--env only with --stdio/],
  [["--stdio", "a", "--header", "X: y"], /--header only with --http/],
];

for (const [args, message] of EXCLUSIVE) {
  test(`configFromOptions() refuses ${args.join(" ") || "no options"}`, async () => {
    const options = await serveOptions(...args);
    assert.throws(() => configFromOptions(options), { message, exitCode: 2 });
  });
}

const OPTIONS = {
  serve: [
    ...["config", "input", "stdio", "env", "cwd", "http", "header", "host", "port", "path"],
    ...["public-url", "token-env", "no-auth", "allow-origin", "allow-host", "redis", "secret-env"],
    ...["processes"],
    ...["data", "dashboard", "dashboard-port", "dashboard-token-env", "audit", "metrics", "otel"],
    ...["log", "log-level", "help"],
  ],
  check: ["connect", "for", "input", "help"],
  pin: ["server", "input", "help"],
  inspect: [
    ...["server", "input", "call", "args", "header", "token-env", "timeout", "json", "help"],
  ],
  doctor: ["header", "token-env", "direct", "origin", "call", "args", "timeout", "json", "help"],
  bundle: ["server", "dir", "output", "release", "description", "author", "print", "help"],
  import: ["from", "output", "print", "force", "help"],
  "server-json": [
    ...["name", "description", "release", "public-url", "npm", "header", "token-env", "timeout"],
    "help",
  ],
  top: ["token-env", "once", "json", "help"],
};

test("every option and command is in the help, and in the documentation", async () => {
  const overview = (await parse("--help")).out;
  const docs = await readFile(new URL("../../docs/cli.md", import.meta.url), "utf8");
  for (const [name, options] of Object.entries(OPTIONS)) {
    assert.match(overview, new RegExp(`^ {2}${name} `, "m"));
    const { out } = await parse(name, "--help");
    assert.deepEqual(
      [...out.matchAll(/^ {2}(?:-h, )?--([a-z-]+) /gm)].map(([, option]) => option),
      options,
    );
    for (const line of out.split("\n")) assert.ok(line.length <= 100, line);
    for (const option of options) assert.ok(docs.includes(`--${option}`), option);
  }
});

/** The long options in a text. */
function flagsIn(text: string): Set<string> {
  return new Set([...text.matchAll(/(?<![\w-])--[a-z][a-z-]*[a-z]/g)].map(([flag]) => flag));
}

/** The pages that describe commands at length, besides docs/cli.md. */
const OTHER_PAGES: Readonly<Record<string, readonly string[]>> = {
  dev: ["dev"],
  top: ["operator"],
  pin: ["policy"],
  stdio: ["stdio"],
};

test("[CMD-34] every option of a command is described with it, and no other is", async () => {
  const read = (page: string) =>
    readFile(new URL(`../../docs/${page}.md`, import.meta.url), "utf8");
  const cli = await read("cli");
  const { out: help } = await parse("--help");
  const commands = help.split("\nCommands:")[1]?.split("\nExamples:")[0] ?? "";
  const names = [...commands.matchAll(/^ {2}([a-z][a-z-]*) /gm)].map(([, name = ""]) => name);
  assert.ok(names.length > 12, help);
  // Those of programs in its examples, too
  const all = new Set(["--help", "--version", "--token", "--folder"]);
  const missing: string[] = [];
  for (const name of names) {
    const { out } = await parse(name, "--help");
    const options = flagsIn(out.split("\nOptions:")[1]?.split("\nExamples:")[0] ?? "");
    // Its own section, and what the page says of several commands
    const own = cli.split(`\n## ${name}\n`)[1]?.split("\n## ")[0] ?? "";
    const others = await Promise.all((OTHER_PAGES[name] ?? []).map(read));
    const described = flagsIn(
      [["serve", "stdio"].includes(name) ? cli : own, ...others].join("\n"),
    );
    for (const option of options) {
      all.add(option);
      if (option !== "--help" && !described.has(option)) missing.push(`${name} ${option}`);
    }
  }
  assert.deepEqual(missing, [], "Describe these options in docs/cli.md");
  const unknown = [...flagsIn(cli)].filter((flag) => !all.has(flag));
  assert.deepEqual(unknown, [], "docs/cli.md names options that no command has");
});

test("the version stands in one place", async () => {
  const json = async (file: string) =>
    JSON.parse(await readFile(new URL(`../../${file}`, import.meta.url), "utf8"));
  assert.equal((await json("deno.json")).version, VERSION);
  assert.ok(!("version" in await json("package.json")));
});
