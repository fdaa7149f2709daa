import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { bundle, type BundleOptions, type Pack, packWith } from "../../src/cli/publish/bundle.ts";
import type { CommandActions } from "../../src/cli/program.ts";
import { runHere } from "./fake_io.ts";

const run = promisify(execFile);
/** The tool, which npx would fetch. */
const TOOL = fileURLToPath(new URL("../../node_modules/.bin/mcpb", import.meta.url));
const SECRET = "s3cret-of-the-environment";
const LITERAL = "s3cret-in-the-file";
const PACKAGE = {
  name: "@example/notes",
  version: "1.2.3",
  description: "Keeps notes.",
  author: "Ada <ada@example.com> (https://example.com)",
  license: "MIT",
};
/** Answers each line with its environment and arguments. */
const SERVER = `import { createInterface } from "node:readline";
for await (const line of createInterface({ input: process.stdin })) {
  const result = { line, key: process.env.API_KEY, args: process.argv.slice(2) };
  console.log(JSON.stringify(result));
}
`;
const NOTES = {
  command: "node",
  args: ["dist/server.mjs", "--folder", "${NOTES:-notes}", "data.txt", "../outside.txt"],
  env: { API_KEY: "${API_KEY}", MODE: "fast" },
};

const made: string[] = [];
after(async () => {
  for (const folder of made) await rm(folder, { recursive: true, force: true });
});

async function temporary(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "bundle-test-"));
  made.push(folder);
  return folder;
}

describe("mooring bundle", () => {
  let folder = "";
  let packed: { readonly files: string[]; readonly manifest: string; readonly copy: string }[] = [];

  const write = (path: string, content: unknown) =>
    writeFile(
      join(folder, path),
      typeof content === "string" ? content : JSON.stringify(content),
    );

  beforeEach(async () => {
    folder = join(await temporary(), "project");
    packed = [];
    await mkdir(join(folder, "dist"), { recursive: true });
    await mkdir(join(folder, ".git"));
    await write("dist/server.mjs", SERVER);
    await write("data.txt", "data");
    await write(".env", `API_KEY=${SECRET}`);
    await write(".git/config", "x");
    await write("package.json", PACKAGE);
    await writeFile(join(folder, "../outside.txt"), "outside");
    await write("mooring.json", {
      // Not of the server: neither checked nor packed
      auth: { tokens: [{ id: "alice", token: LITERAL }] },
      port: "${PORT}",
      mcpServers: { notes: NOTES },
    });
  });

  const recorded: Pack = async (copy) => {
    const files = (await readdir(copy, { recursive: true })).sort();
    packed.push({ files, manifest: await readFile(join(copy, "manifest.json"), "utf8"), copy });
  };

  /** Runs the command, with the tool or a pack function in its place. */
  async function mooring(args: readonly string[], pack: Pack = packWith([TOOL])) {
    const unused = () => Promise.reject(new Error("Not this command"));
    const commands: CommandActions = {
      serve: unused,
      check: unused,
      inspect: unused,
      stdio: unused,
      serverJson: unused,
      importServers: unused,
      bundle: (file, options: BundleOptions, io) => bundle(file, options, io, pack),
    };
    const file = join(folder, "mooring.json");
    return await runHere(["bundle", file, ...args], { API_KEY: SECRET, PATH: "" }, commands);
  }

  test("[CMD-8] makes the manifest of what the file says, without values of variables", async () => {
    const { code, out, err } = await mooring(["--print"]);
    assert.deepEqual([code, err], [0, ""]);
    assert.deepEqual(JSON.parse(out), {
      manifest_version: "0.3",
      name: "@example/notes",
      version: "1.2.3",
      description: "Keeps notes.",
      author: { name: "Ada", email: "ada@example.com", url: "https://example.com" },
      license: "MIT",
      server: {
        type: "node",
        entry_point: "dist/server.mjs",
        mcp_config: {
          command: "node",
          args: [
            "${__dirname}/dist/server.mjs",
            "--folder",
            "${user_config.notes}",
            "${__dirname}/data.txt",
            "../outside.txt",
          ],
          env: { API_KEY: "${user_config.api_key}", MODE: "fast" },
        },
      },
      user_config: {
        notes: {
          type: "string",
          title: "NOTES",
          description: "The value of NOTES",
          required: false,
          default: "notes",
        },
        api_key: {
          type: "string",
          title: "API_KEY",
          description: "The value of API_KEY",
          sensitive: true,
          required: true,
        },
      },
    });
    assert.deepEqual(packed, []);
  });

  test("[CMD-8] packs a copy without secrets, and leaves the folder as it was", async () => {
    const before = (await readdir(folder, { recursive: true })).sort();
    const { code, out, err } = await mooring(["--output", join(folder, "n.mcpb")], recorded);
    assert.deepEqual([code, err], [0, ""]);
    assert.equal(out, `Wrote ${join(folder, "n.mcpb")}\n`);
    const [{ files = [], manifest = "", copy = "" } = {}] = packed;
    const expected = ["data.txt", "dist", join("dist", "server.mjs"), "manifest.json"];
    assert.deepEqual(files, [...expected, "package.json"]);
    assert.doesNotMatch(manifest, /s3cret/);
    assert.deepEqual((await readdir(folder, { recursive: true })).sort(), before);
    await assert.rejects(readdir(copy));
    const refused = await mooring([], () => Promise.reject(new Error("refused")));
    assert.deepEqual([refused.code, refused.err], [1, "refused\n"]);
    assert.deepEqual((await readdir(folder, { recursive: true })).sort(), before);
  });

  test("[CMD-8] the official tool accepts the bundle, and its server starts", async () => {
    const output = join(await temporary(), "notes.mcpb");
    const { code, err } = await mooring(["--output", output]);
    assert.deepEqual([code, err], [0, ""]);
    const unpacked = await temporary();
    await run(TOOL, ["unpack", output, unpacked]);
    const { server } = JSON.parse(await readFile(join(unpacked, "manifest.json"), "utf8"));
    const filled = (text: string) =>
      text.replace("${__dirname}", unpacked).replace(/\$\{user_config\.(\w+)\}/, "its $1");
    const { command, args, env } = server.mcp_config;
    const child = spawn(command, args.map(filled), {
      env: { ...process.env, API_KEY: filled(env.API_KEY) },
      stdio: ["pipe", "pipe", "inherit"],
    });
    let said = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => said += text);
    child.stdin.end("hello\n");
    await new Promise((resolve) => child.once("close", resolve));
    const { line, key, args: got } = JSON.parse(said);
    assert.deepEqual([line, key, got[1]], ["hello", "its api_key", "its notes"]);
    assert.equal(await readFile(got[2], "utf8"), "data");
  });

  test("[CMD-8] shows what the official tool refuses", async () => {
    const { code, err } = await mooring(["--release", ""]);
    assert.equal(code, 2, err);
    await write("package.json", { ...PACKAGE, homepage: "no url" });
    const refused = await mooring([]);
    assert.equal(refused.code, 1);
    const { devDependencies } = JSON.parse(
      await readFile(new URL("../../package.json", import.meta.url), "utf8"),
    );
    // What npx would fetch is what is tested here
    const tool = `@anthropic-ai/mcpb@${devDependencies["@anthropic-ai/mcpb"]}`;
    assert.ok(refused.err.startsWith(`${tool} refused the bundle:\n`), refused.err);
    assert.match(refused.err, /homepage/);
    const missing = await mooring([], packWith([join(folder, "none")]));
    assert.deepEqual([missing.code, missing.err], [
      1,
      "Install Node, which has npx, or use --print\n",
    ]);
  });

  test("[CMD-8] bundles a program of the folder, and one of several servers", async () => {
    await mkdir(join(folder, "bin"));
    await write("bin/tool", "#!/bin/sh\n");
    const tool = { command: "./bin/tool", args: ["run"] };
    const http = { url: "https://api.example.com/mcp" };
    await write("mooring.json", { mcpServers: { notes: NOTES, tool, http } });
    const which = await mooring(["--print"]);
    assert.deepEqual([which.code, which.err], [2, "Name one server with --server: notes, tool\n"]);
    const unknown = await mooring(["--print", "--server", "http"]);
    assert.deepEqual([unknown.code, unknown.err], [2, "Give --server one of notes, tool\n"]);
    const { out } = await mooring(["--print", "--server", "tool", "--author", "Ada"]);
    const { server, author, user_config } = JSON.parse(out);
    assert.deepEqual(server, {
      type: "binary",
      entry_point: "bin/tool",
      mcp_config: { command: "${__dirname}/bin/tool", args: ["run"] },
    });
    assert.deepEqual([author, user_config], [{ name: "Ada" }, undefined]);
  });

  const refused: readonly (readonly [string, object, RegExp])[] = [
    ["a program that fetches", { command: "npx", args: ["-y", "x"] }, /Install the server into/],
    [
      "a secret in env",
      { ...NOTES, env: { API_KEY: LITERAL } },
      /notes\.env\.API_KEY: Write a var/,
    ],
    ["a secret in args", { ...NOTES, args: ["dist/server.mjs", "--token", LITERAL] }, /--token/],
    ["a secret after =", { ...NOTES, args: ["dist/server.mjs", `--token=${LITERAL}`] }, /--token/],
    ["a password in a URL", { ...NOTES, env: { DB: `pg://me:${LITERAL}@db/x` } }, /notes\.env\.DB/],
    ["a program of nowhere", { command: "ruby", args: ["dist/server.mjs"] }, /Give node, python/],
    ["a file that isn't there", { command: "node", args: ["dist/none.mjs"] }, /Name the file in/],
    ["a folder that isn't there", { ...NOTES, cwd: "none" }, /exists with --dir/],
    ["an endpoint", { url: "https://api.example.com/mcp" }, /only programs are bundled/],
    ["what is wrong anyway", { ...NOTES, args: "x" }, /mooring\.json:\d+:\d+: .*Give a list/],
  ];
  for (const [what, notes, message] of refused) {
    test(`[CMD-8] refuses ${what}`, async () => {
      await write("mooring.json", { mcpServers: { notes } });
      const { code, out, err } = await mooring([], recorded);
      assert.deepEqual([code, out, packed], [1, "", []], err);
      assert.match(err, message);
      assert.doesNotMatch(err, /s3cret/);
    });
  }

  test("[CMD-8] refuses a folder that is too large, before it is copied", async () => {
    // A file without content takes no place, and counts with its size
    await truncate(join(folder, "data.txt"), 600 * 1024 * 1024);
    const { code, err } = await mooring([], recorded);
    assert.deepEqual([code, packed], [1, []]);
    assert.match(err, /^Name a smaller folder with --dir, of 100000 files and 536870912 bytes/);
  });

  test("[CMD-8] refuses a folder with a manifest, and one that lacks what a manifest needs", async () => {
    const other = await temporary();
    await cp(folder, other, { recursive: true });
    await writeFile(join(other, "manifest.json"), "{}");
    const kept = await mooring(["--dir", other], recorded);
    assert.equal(kept.code, 1);
    assert.match(kept.err, /There is a manifest already/);
    for (const key of ["version", "description", "author"]) {
      await write("package.json", { ...PACKAGE, [key]: undefined });
      const { code, err } = await mooring([], recorded);
      assert.equal(code, 2);
      assert.match(err, new RegExp(`^Give --\\w+ \\w+, or "${key}" in`));
    }
    await write("package.json", "{");
    assert.match((await mooring([], recorded)).err, /^Correct the JSON/);
    assert.deepEqual(packed, []);
  });
});
