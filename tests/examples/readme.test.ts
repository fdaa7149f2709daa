import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { run, serving } from "../cli/program.ts";
import { sdkV1 } from "../clients/sdk_v1.ts";
import { RestartedCommand } from "../restart/command.ts";
import { reach, running, runtime } from "./program.ts";

const ROOT = new URL("../../", import.meta.url);

const read = (path: string): Promise<string> => readFile(new URL(path, ROOT), "utf8");

/** The pages that people read, as paths from the project's root. */
async function pages(): Promise<string[]> {
  const docs = (await readdir(new URL("docs/", ROOT))).filter((name) => name.endsWith(".md"));
  return ["README.md", "CHANGELOG.md", "SECURITY.md", ...docs.map((name) => `docs/${name}`)];
}

/** The words of a command line after `deno task mooring`. */
function mooringArgs(readme: string, command: string): string[] {
  const [, line = ""] = readme.match(new RegExp(`^deno task mooring (${command} .*)$`, "m")) ?? [];
  const words = line.replace(/ +# .*$/, "").match(/"[^"]*"|'[^']*'|\S+/g) ?? [];
  return words.map((word) => word.replace(/^(["'])(.*)\1$/, "$2"));
}

describe("README.md", () => {
  test("has 150 lines or fewer", async () => {
    assert.ok((await read("README.md")).split("\n").length <= 151);
  });

  test("the smallest server runs", async () => {
    const [, code = ""] = (await read("README.md")).match(/```ts ignore\n([^]*?)```/) ?? [];
    const program = code.replace("@mooring/mcp/deno", `@mooring/mcp/${runtime}`)
      .replace("serve(server)", "serve(server, { port: 0 })");
    assert.match(program, /port: 0/);
    // In the project's folder, where its name resolves as in a clone
    await mkdir(new URL(".cache/", ROOT), { recursive: true });
    const folder = await mkdtemp(fileURLToPath(new URL(".cache/readme-", ROOT)));
    try {
      const file = `${folder}/server.ts`;
      await writeFile(file, program);
      if (runtime === "deno") await promisify(execFile)(process.execPath, ["check", file]);
      await running(pathToFileURL(file).href, async ({ url }) => {
        await using client = await reach(url);
        const { structuredContent } = await client.callTool("add", { a: 2, b: 3 });
        assert.deepEqual(structuredContent, { sum: 5 });
        await client.close();
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("the command for the demo server calls its tool", async () => {
    const args = mooringArgs(await read("README.md"), "inspect");
    await running("demo.ts", async ({ url }) => {
      const { code, out, err } = await run(
        args.map((arg) => arg === "http://127.0.0.1:8000/mcp" ? url : arg),
      );
      assert.equal(code, 0, err);
      assert.match(out, /"sum":5/);
    });
  });

  test("the gateway's command serves a program", async () => {
    const [command, flag, line = "", ...rest] = mooringArgs(await read("README.md"), "serve");
    assert.deepEqual([command, flag, rest], ["serve", "--stdio", []]);
    // What npx would download is installed here
    const name = "npx -y @modelcontextprotocol/server-everything";
    const binary = fileURLToPath(new URL("node_modules/.bin/mcp-server-everything", ROOT));
    assert.equal(line, name);
    await serving(["--stdio", `'${binary}'`], async (_program, url) => {
      await using client = await reach(url);
      assert.ok((await client.listTools()).some(({ name }) => name === "echo"));
      await client.close();
    });
  });

  test("[DUR-7] the gateway's command is killed and started again, and its client goes on", async () => {
    const binary = fileURLToPath(new URL("node_modules/.bin/mcp-server-everything", ROOT));
    const data = await mkdtemp(join(tmpdir(), "readme-"));
    const server = new RestartedCommand(["--stdio", `'${binary}'`, "--data", data]);
    await server.start();
    try {
      const client = await sdkV1.connect({ url: server.url });
      assert.equal((await client.call("echo", { message: "hi" })).text, "Echo: hi");
      await server.restart();
      assert.equal((await client.call("echo", { message: "again" })).text, "Echo: again");
      await client.close();
    } finally {
      await server.kill();
      await rm(data, { recursive: true });
    }
  });
});

/** The fields of an interface with their documented defaults, with those that it inherits. */
function fieldsOf(source: string, name: string): Map<string, string | undefined> {
  const [, parents = "", body = ""] = source.match(
    new RegExp(`^export interface ${name} (?:extends ([^{]+) )?\\{\n([^]*?)^\\}`, "m"),
  ) ?? [];
  const fields = new Map<string, string | undefined>();
  for (const parent of parents.match(/\w+/g) ?? []) {
    for (const [field, value] of fieldsOf(source, parent)) fields.set(field, value);
  }
  for (const [, doc = "", field = ""] of body.matchAll(/\/\*\*([^]*?)\*\/\s+readonly (\w+)/g)) {
    fields.set(field, doc.match(/@default \{(.*)\}/)?.[1]);
  }
  return fields;
}

/** The text of all modules in the folders where options are declared. */
async function sources(): Promise<string> {
  const folders = ["src/handler/", "src/http/", "src/http/gates/", "src/adapters/"];
  const texts = await Promise.all(folders.map(async (folder) => {
    const names = (await readdir(new URL(folder, ROOT))).filter((name) => name.endsWith(".ts"));
    return await Promise.all(names.map((name) => read(`${folder}${name}`)));
  }));
  return texts.flat().join("\n");
}

/** The rows of a page's table whose first column is `head`: what is named, and its default. */
function rowsOf(page: string, head: string): Map<string, string> {
  const [, table = ""] = page.split(new RegExp(`^\\| ${head} +\\|.*\n.*\n`, "m"));
  const rows = (table.split(/\n\n/)[0] ?? "").matchAll(/^\| `([\w.]+)` +\| (.*?) +\|/gm);
  return new Map([...rows].map(([, name = "", value = ""]) => [name, value.replaceAll("`", "")]));
}

describe("docs/options.md", () => {
  test("lists every option with its default", async () => {
    const source = await sources();
    const groups = {
      limits: "HandlerLimits",
      sessions: "SessionOptions",
      streams: "StreamOptions",
      requests: "RequestOptions",
      userState: "UserStateOptions",
    };
    const expected = fieldsOf(source, "McpHandlerOptions");
    for (const [group, name] of Object.entries(groups)) {
      if (group !== "sessions") expected.delete(group);
      for (const [field, value] of fieldsOf(source, name)) expected.set(`${group}.${field}`, value);
    }
    const rows = rowsOf(await read("docs/options.md"), "Option");
    assert.ok(rows.size > 30);
    assert.deepEqual([...rows.keys()].sort(), [...expected.keys()].sort());
    for (const [name, value] of expected) {
      if (value !== undefined) assert.equal(rows.get(name), value, name);
    }
  });

  test("lists every option of serve with its default", async () => {
    const expected = fieldsOf(await sources(), "ServeOptions");
    assert.deepEqual(rowsOf(await read("docs/options.md"), "Option of `serve`"), expected);
  });
});

describe("the documentation", () => {
  /** The anchors that GitHub gives a page's headings. */
  const anchorsOf = (page: string): Set<string> =>
    new Set(
      [...page.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
        heading.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-")
      ),
    );

  test("links to files and headings that exist", async () => {
    const links = new Set<string>();
    for (const page of await pages()) {
      for (const [, link = ""] of (await read(page)).matchAll(/\]\((?!https?:)([^)]+)\)/g)) {
        const target = new URL(link, new URL(page, ROOT));
        const path = target.href.slice(ROOT.href.length).replace(/#.*/, "");
        const text = await read(path);
        assert.notEqual(text, "", `${page}: ${link}`);
        if (target.hash !== "") {
          assert.ok(anchorsOf(text).has(target.hash.slice(1)), `${page}: ${link}`);
        }
        links.add(path);
      }
    }
    assert.ok(links.has("examples/demo.ts"));
  });

  test("has every page in its index", async () => {
    const index = await read("docs/README.md");
    for (const page of await pages()) {
      const name = page.replace("docs/", "");
      if (!page.startsWith("docs/") || name === "README.md") continue;
      assert.ok(index.includes(`(${name})`), `docs/README.md doesn't link to ${name}`);
    }
  });

  test("names tasks that exist", async () => {
    const { tasks }: { tasks: Record<string, unknown> } = JSON.parse(await read("deno.json"));
    for (const page of await pages()) {
      for (const [, name = ""] of (await read(page)).matchAll(/\bdeno task ([a-z][\w:]*)/g)) {
        assert.ok(name in tasks, `${page}: deno task ${name}`);
      }
    }
  });
});
