/**
 * What the npm package must keep once its modules are bundled: few files to open, one class from every entry
 * point, readable stacks, a command that loads no server to show its help. `tools/consumer.ts` runs it with
 * the installed tarball.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

/** A check, which throws if something doesn't hold. */
export interface PackageCheck {
  readonly name: string;
  run(): Promise<void>;
}

/** What the checks have to do with. */
export interface InstalledPackage {
  /** The folder of a project that has the package and nothing else but zod. */
  readonly bare: string;
  /** The folder of a project that has every package that an entry point needs. */
  readonly full: string;
  /** Runs Node in a folder, and returns what it wrote. */
  node(args: readonly string[], cwd: string): Promise<string>;
}

/** The files that the root entry point may consist of: itself, and what it shares with the others. */
const ROOT_FILES = ["mod.js", "chunks/library.js"];
/** What `mooring --help` may load, in bytes: a small part of the command. */
const HELP_BYTES = 200_000;
const COMMAND = "bin/mooring.js";

/** Writes a line to stderr for each file of the package that is loaded. */
const LISTING = `import { registerHooks } from "node:module";
registerHooks({
  load(url, context, next) {
    const [, path] = /\\/@mooring\\/mcp\\/(.*)$/.exec(url) ?? [];
    if (path !== undefined) console.error("LOADED " + path);
    return next(url, context);
  },
});
`;

/** Returns the package's files that a program loads. */
function loadedIn(output: string): string[] {
  return [...output.matchAll(/^LOADED (.*)$/gm)].map(([, path = ""]) => path);
}

/** Returns the checks. */
export function startChecks({ bare, full, node }: InstalledPackage): PackageCheck[] {
  const installed = join(bare, "node_modules", "@mooring", "mcp");
  async function listed(args: readonly string[]): Promise<string[]> {
    const hook = join(bare, "listing.mjs");
    await writeFile(hook, LISTING);
    return loadedIn(await node(["--import", pathToFileURL(hook).href, ...args], bare));
  }
  return [
    {
      name: "[START-1] the root entry point is two files, and the package has no other modules",
      async run() {
        const loaded = await listed(["--input-type=module", "--eval", 'import "@mooring/mcp";']);
        assert.deepEqual(loaded.sort(), [...ROOT_FILES].sort());
        const { exports } = JSON.parse(await readFile(join(installed, "package.json"), "utf8"));
        const entries = Object.values<{ readonly default?: string }>(exports)
          .flatMap((entry) => entry.default?.slice(2) ?? []);
        const files = await readdir(installed, { recursive: true });
        const modules = files.filter((path) => path.endsWith(".js") && !path.includes("chunks/"));
        assert.deepEqual(modules.sort(), entries.sort());
      },
    },
    {
      name: "[START-2] a class is the same one from every entry point",
      async run() {
        const program = `import * as root from "@mooring/mcp";
          import * as auth from "@mooring/mcp/auth";
          import * as testing from "@mooring/mcp/testing";
          import * as node from "@mooring/mcp/node";
          import * as gateway from "@mooring/mcp/gateway";
          const server = new root.McpServer({ name: "one", version: "1.0.0" });
          server.registerTool("fail", {}, () => { throw new root.McpError(-32000, "Stop"); });
          const client = await testing.connect(root.createMcpHandler(server));
          const thrown = await client.callTool("fail").catch((error) => error);
          const same = [
            auth.Forbidden === root.Forbidden,
            testing.McpError === root.McpError,
            thrown instanceof root.McpError,
            typeof node.serve === "function",
            typeof gateway.gateway === "function",
          ];
          console.log(JSON.stringify([same, root.Forbidden.name, root.McpError.name]));
          process.exit();`;
        const said = await node(["--input-type=module", "--eval", program], full);
        const expected = [[true, true, true, true, true], "Forbidden", "McpError"];
        assert.deepEqual(JSON.parse(said), expected);
      },
    },
    {
      name: "[START-3] a stack names functions, and with source maps the line of the source",
      async run() {
        const program = `import { createMcpHandler, McpServer } from "@mooring/mcp";
          const server = new McpServer({ name: "one", version: "1.0.0" });
          try { createMcpHandler(server, { paht: "/mcp" }); } catch (error) {
            console.log(error.stack);
          }`;
        const args = ["--input-type=module", "--eval", program];
        const plain = await node(args, bare);
        assert.match(plain, /Unknown option "paht"/);
        assert.match(
          plain,
          /at createMcpHandler \(.*\/@mooring\/mcp\/chunks\/library\.js:\d+:\d+\)/,
        );
        assert.match(plain, /at settingsOf \(/);
        const mapped = await node(["--enable-source-maps", ...args], bare);
        const [, path = "", line = ""] = /\/@mooring\/mcp\/(src\/[\w/]+\.ts):(\d+):/.exec(mapped) ??
          [];
        const map = JSON.parse(await readFile(join(installed, "chunks/library.js.map"), "utf8"));
        const source: string = map.sourcesContent[map.sources.indexOf(`../${path}`)];
        assert.match(source.split("\n")[Number(line) - 1] ?? "", /\bthrow\b/, mapped);
      },
    },
    {
      name: "[START-4] the help loads the command line, and no command",
      async run() {
        const loaded = await listed([join(installed, COMMAND), "--help"]);
        assert.ok(loaded.includes(COMMAND), loaded.join("\n"));
        const names = loaded.map((path) => path.replace(/^.*\//, ""));
        for (const command of ["serve.js", "server.js", "doctor.js", "import.js", "config.js"]) {
          assert.ok(!names.includes(command), `Loaded by --help: ${command}`);
        }
        const sizes = await Promise.all(loaded.map((path) => stat(join(installed, path))));
        const bytes = sizes.reduce((sum, { size }) => sum + size, 0);
        console.log(`  mooring --help: ${loaded.length} files of ${bytes} bytes`);
        assert.ok(bytes <= HELP_BYTES, `${bytes} bytes, of ${HELP_BYTES} at most`);
      },
    },
  ];
}
