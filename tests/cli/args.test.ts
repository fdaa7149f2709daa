/**
 * The command line: flags, their values, and hints.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { readArgs } from "../../src/cli/args.ts";
import { COMMANDS } from "../../src/cli/commands.ts";
import { CliError } from "../../src/cli/errors.ts";
import { flagValues } from "../../src/cli/flag_values.ts";
import { helpText } from "../../src/cli/help.ts";
import { VERSION } from "../../src/cli/version.ts";

const given = (...args: string[]) => {
  const asked = readArgs(args);
  assert.ok(asked.kind === "run");
  return asked.given;
};

test("readArgs() reads flags with their values, in both forms", () => {
  const flags = given(
    "serve",
    "--stdio",
    "npx x",
    "--port=0",
    "--no-auth",
    "--env",
    "A",
    "--env=B",
  );
  assert.equal(flags.text("stdio"), "npx x");
  assert.equal(flags.text("port"), "0");
  assert.ok(flags.has("no-auth") && !flags.has("config"));
  assert.deepEqual(flags.texts("env"), ["A", "B"]);
});

test("readArgs() shows help and the version wherever they are asked for", () => {
  for (const args of [[], ["--help"], ["-h"], ["help"]]) {
    assert.deepEqual(readArgs(args), { kind: "help", command: undefined });
  }
  for (const args of [["serve", "--help"], ["serve", "-h", "--port", "1"], ["help", "serve"]]) {
    assert.deepEqual(readArgs(args), { kind: "help", command: "serve" });
  }
  for (const args of [["--version"], ["-v"], ["version"]]) {
    assert.deepEqual(readArgs(args), { kind: "version" });
  }
});

const REFUSED: readonly (readonly [readonly string[], RegExp])[] = [
  [["sreve"], /no command "sreve"\. Did you mean mooring serve\?/],
  [["bananas"], /no command "bananas"\. See mooring --help/],
  [["serve", "--prot", "1"], /no flag "--prot"\. Did you mean --port\?/],
  [["serve", "--hostname", "x"], /Did you mean --host\?/],
  [["serve", "--token", "s3cret"], /read command lines\. Did you mean --token-env\?/],
  [["serve", "--bananas"], /no flag "--bananas"\. See mooring serve --help/],
  [["serve", "-p", "1"], /no flag "-p"/],
  [["serve", "--port"], /Give a value: --port PORT/],
  [["serve", "--port="], /Give a value: --port PORT/],
  [["serve", "--port", "--host"], /Give a value: --port PORT/],
  [["serve", "--no-auth=yes"], /Give --no-auth without a value/],
  [["serve", "--port", "1", "--port", "2"], /Give --port only once/],
  [["serve", "npx", "x"], /Leave this out: begin it with --stdio.*: "npx"/],
  [["check"], /Say what to check: mooring check FILE/],
  [["check", "a", "b"], /Leave this out: "b"/],
  [["inspect"], /Say what to inspect: mooring inspect URL/],
];

for (const [args, message] of REFUSED) {
  test(`readArgs() refuses ${args.join(" ")}`, () => {
    assert.throws(() => readArgs(args), (error) => {
      assert.ok(error instanceof CliError);
      assert.equal(error.exitCode, 2);
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /s3cret/);
      return true;
    });
  });
}

test("flagValues() says in the words of the file what flags say", () => {
  const { values, flagOf } = flagValues(given(
    ...["serve", "--stdio", "npx -y 'a b'", "--env", "KEY", "--env", "X=1=2", "--cwd", "/tmp"],
    ...["--port", "9", "--allow-origin", "https://a.example", "--token-env", "TOKEN"],
  ));
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
  assert.equal(flagOf(["port"]), "--port");
  assert.equal(flagOf(["mcpServers", "server", "env", "KEY"]), "--env");
  assert.equal(flagOf(["auth", "tokens", 0, "token"]), "--token-env");
  assert.equal(flagOf(["limits"]), undefined);
});

const UNFIT: readonly (readonly [readonly string[], RegExp])[] = [
  [[], /Say what to serve/],
  [["--stdio", "a", "--http", "http://x"], /either --stdio or --http/],
  [["--config", "a", "--http", "http://x"], /either --config or --http/],
  [["--config", "a", "--env", "X"], /--env only with --stdio/],
  [["--stdio", "a", "--header", "X: y"], /--header only with --http/],
  [["--http", "http://x", "--header", "s3cret"], /Give --header a "NAME: VALUE"$/],
  [["--stdio", "a", "--env", "s3-cret=1"], /Give --env a NAME, or NAME=VALUE$/],
];

for (const [args, message] of UNFIT) {
  test(`flagValues() refuses ${args.join(" ") || "no flags"}`, () => {
    assert.throws(() => flagValues(given("serve", ...args)), message);
  });
}

test("every flag and command is in the help", () => {
  for (const { name, flags } of Object.values(COMMANDS)) {
    assert.match(helpText(undefined), new RegExp(`mooring ${name} `));
    const text = helpText(name);
    for (const flag of flags) assert.ok(text.includes(`--${flag.name}`), flag.name);
    for (const line of text.split("\n")) assert.ok(line.length <= 100, line);
  }
});

test("the version is the package's", async () => {
  for (const file of ["deno.json", "package.json"]) {
    const text = await readFile(new URL(`../../${file}`, import.meta.url), "utf8");
    assert.equal(JSON.parse(text).version, VERSION);
  }
});
