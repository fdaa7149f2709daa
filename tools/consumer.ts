/**
 * Tries the npm package as its users have it: the tarball alone, installed into empty projects.
 *
 * @module
 */
import { gzipSync } from "node:zlib";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { NEW_RUNTIMES } from "../src/cli/new/choices.ts";
import { pack } from "./pack.ts";
import { run, start } from "./process.ts";
import { commandOf, packageTool, ROOT } from "./runtimes.ts";
import { startChecks } from "../tests/package/start.ts";
import { walkChecks } from "../tests/package/walks.ts";
import { startWorker } from "./workerd.ts";
import { templateMaker, TEMPLATES } from "./templates.ts";
import { NOTHING, sum, type Tally } from "./tally.ts";
import { walkPage } from "./walks.ts";

const LIMIT_MS = 180_000;
const FILES = fileURLToPath(new URL("./package/files/", import.meta.url));

/** What `createMcpHandler` and `McpServer` may weigh in a minified bundle, in bytes. */
const BUDGET = { plain: 236_000, gzip: 80_000 };

/** A runtime that an application with the package runs on. */
interface Consumer {
  readonly name: string;
  readonly command: readonly string[];
  /** The entry point of its adapter. */
  readonly adapter: string;
}

function consumerRuntimes(): Consumer[] {
  const node = commandOf("node").program;
  const bun = commandOf("bun").program;
  return [
    { name: "Node 22", command: [packageTool("node-22-linux-x64/bin/node")], adapter: "node" },
    { name: "Node 24", command: [node], adapter: "node" },
    { name: "Bun", command: [bun], adapter: "bun" },
    { name: "Deno", command: [process.execPath, "run", "-A", "--quiet"], adapter: "deno" },
  ];
}

/** What is tried of entry points that need a package which isn't installed with this one. */
const ENTRY_USES: Readonly<Record<string, { readonly use?: string; readonly needs: string }>> = {
  "./auth": {
    use: `entry.bearer({ verify: () => ({ id: "ada" }) });
      entry.jwt({ issuer: "https://a.example", audience: "b", jwksUri: "https://a.example/keys" });`,
    needs: "jose",
  },
  "./audit": { use: "entry.hashedPrincipals();", needs: "@noble/hashes" },
  "./gateway": { use: "entry.gateway(); entry.definitionDigest({});", needs: "@noble/hashes" },
  "./metrics": { needs: "prom-client" },
  "./accounts": { needs: "ipaddr.js" },
  "./signin": { needs: "ipaddr.js" },
  "./skills": {
    use: `const { McpServer } = await import("@mooring/mcp");
      const library = new McpServer({ name: "a", version: "1" }).use(entry.skills());
      await library.registerSkill({ "SKILL.md": "---\\nname: a\\ndescription: b\\n---\\n" });`,
    needs: "yaml",
  },
  "./telemetry": { needs: "@opentelemetry/api" },
  "./testing": { needs: "@modelcontextprotocol/client" },
};

/** One thing that must hold; throws if it doesn't. */
interface Check {
  readonly name: string;
  run(): Promise<void>;
}

async function succeed(command: readonly string[], cwd: string): Promise<string> {
  const [program = "", ...args] = command;
  const { code, output } = await run(program, args, { cwd, limitMs: LIMIT_MS });
  if (code === 0) return output;
  throw new Error(`${command.join(" ")} ended with ${code}:\n${output}`);
}

/** Makes a project that has the tarball and nothing else but what is named. */
async function project(tarball: string, packages: readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "consumer-"));
  await writeFile(join(folder, "package.json"), '{ "private": true, "type": "module" }\n');
  await succeed(["npm", "install", "--silent", tarball, ...packages], folder);
  await cp(FILES, folder, { recursive: true });
  return folder;
}

/** The versions of packages that the tests of the source use, as arguments for `npm install`. */
async function versionsOf(names: readonly string[]): Promise<string[]> {
  const { dependencies, devDependencies } = JSON.parse(
    await readFile(join(ROOT, "package.json"), "utf8"),
  );
  return names.map((name) => `${name}@${dependencies[name] ?? devDependencies[name]}`);
}

/** Starts the server of a file, calls it as a client does, and stops it. */
async function serves(command: readonly string[], cwd: string): Promise<void> {
  const [program = "", ...args] = command;
  const listening = Promise.withResolvers<string>();
  let output = "";
  const service = start(program, args, {
    cwd,
    limitMs: LIMIT_MS,
    onLine(line) {
      output += `${line}\n`;
      const url = /http:\/\/\S+?\/mcp/.exec(line);
      if (url !== null) listening.resolve(url[0]);
    },
  });
  void service.ended.then(() => listening.reject(new Error(`It ended:\n${output}`)));
  try {
    const response = await fetch(await listening.promise, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify({
        jsonrpc: "2.0",
        id: 1,
        method: "initialize",
        params: {
          protocolVersion: "2025-11-25",
          capabilities: {},
          clientInfo: { name: "consumer", version: "1.0.0" },
        },
      }),
      signal: AbortSignal.timeout(LIMIT_MS),
    });
    const text = await response.text();
    if (!text.includes('"serverInfo"')) throw new Error(`${response.status}: ${text}`);
  } finally {
    await service.stop();
  }
}

/** Runs a Worker, and calls a tool that counts in its session, before and after its process ends. */
async function answersInWorkerd(script: string): Promise<void> {
  const worker = await startWorker(script, {
    sessions: "McpSession",
    vars: { STATE_KEY: "only for this test, 32 bytes or more" },
  });
  try {
    let session: string | undefined;
    const post = async (method: string, params: unknown) => {
      const response = await fetch(`${worker.origin}/mcp`, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          accept: "application/json",
          ...session !== undefined && { "mcp-session-id": session },
        },
        body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
        signal: AbortSignal.timeout(LIMIT_MS),
      });
      session ??= response.headers.get("mcp-session-id") ?? undefined;
      return await response.text();
    };
    await post("initialize", {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: "consumer", version: "1.0.0" },
    });
    for (const expected of ["2", "4"]) {
      const text = await post("tools/call", { name: "count", arguments: { by: 2 } });
      if (!text.includes(`"text":"${expected}"`)) throw new Error(`${text}\n${worker.output()}`);
      await worker.restart();
    }
  } finally {
    await worker.stop();
  }
}

/** Returns the first program of the README, for another adapter than that of Deno, and on any free port. */
async function readmeProgram(adapter: string): Promise<string> {
  const readme = await readFile(join(ROOT, "README.md"), "utf8");
  const [, program] = /```ts ignore\n([\s\S]*?)```/.exec(readme) ?? [];
  const changed = program?.replace('"@mooring/mcp/deno"', `"@mooring/mcp/${adapter}"`)
    .replace("serve(server)", "serve(server, { port: 0 })");
  if (!changed?.includes("port: 0")) throw new Error("Begin the README with a server's program");
  return changed;
}

function checks(bare: string, full: string, tarball: string): Check[] {
  const bin = (name: string, folder: string) => join(folder, "node_modules", ".bin", name);
  const node = commandOf("node").program;
  const list: Check[] = [
    {
      name: "publint finds nothing",
      async run() {
        const found = await succeed([
          node,
          packageTool("publint/src/cli.js"),
          "--strict",
          join(ROOT, "dist", "package"),
        ], full);
        if (!found.includes("All good")) throw new Error(found);
      },
    },
    {
      name: "attw finds nothing",
      async run() {
        const attw = packageTool("@arethetypeswrong/cli/dist/index.js");
        await succeed([node, attw, tarball, "--profile", "esm-only", "--no-color"], full);
      },
    },
    {
      name: "who serves a tool installs nothing else",
      async run() {
        const modules = await readdir(join(bare, "node_modules"));
        const known = [
          "@cfworker",
          "@hono",
          "@mooring",
          "eventsource-parser",
          "hono",
          "zod",
        ];
        const more = modules.filter((name) => !name.startsWith(".") && !known.includes(name));
        if (more.length > 0) throw new Error(`Installed as well: ${more.join(", ")}`);
      },
    },
    {
      name: "mooring --version",
      async run() {
        const { version } = JSON.parse(await readFile(join(ROOT, "deno.json"), "utf8"));
        const said = await succeed([node, bin("mooring", bare), "--version"], bare);
        if (said !== `mooring ${version}\n`) throw new Error(said);
      },
    },
    {
      name: "mooring serve",
      run: () =>
        serves(
          [node, bin("mooring", bare), "serve", "--stdio", `${node} counter.mjs`, "--port", "0"]
            .concat("--data", "none"),
          bare,
        ),
    },
    {
      name: "npx mooring stdio",
      async run() {
        const command = ["npx", "mooring", "stdio", "--stdio", `${node} counter.mjs`];
        await succeed([node, "stdio_client.mjs", bare, ...command], full);
      },
    },
    {
      name: "mooring serve without the package redis says what to install",
      async run() {
        await writeFile(
          join(bare, "redis.json"),
          JSON.stringify({
            redis: "redis://127.0.0.1:1",
            secret: "known to all nodes that answer as one endpoint",
            mcpServers: { counter: { command: node, args: ["counter.mjs"] } },
          }),
        );
        const args = [bin("mooring", bare), "serve", "--config", "redis.json", "--port", "0"];
        const { code, output } = await run(node, args, { cwd: bare, limitMs: LIMIT_MS });
        if (code !== 1 || !output.includes("npm install redis")) throw new Error(output);
      },
    },
    {
      name:
        "every entry point works without more packages, or its first error says what to install",
      async run() {
        const manifest = JSON.parse(
          await readFile(join(ROOT, "dist/package/package.json"), "utf8"),
        );
        const peers = Object.keys(manifest.peerDependencies);
        for (const path of Object.keys(manifest.exports)) {
          if (path === "./package.json") continue;
          const { use = "", needs } = ENTRY_USES[path] ?? {};
          const program = `import * as entry from "@mooring/mcp${path.slice(1)}";\n${use}`;
          const args = ["--input-type=module", "--eval", program];
          const { code, output } = await run(node, args, { cwd: bare, limitMs: LIMIT_MS });
          if (needs === undefined ? code !== 0 : code === 0) throw new Error(`${path}: ${output}`);
          if (needs === undefined) continue;
          const [first] = /^\w*Error: .*$/m.exec(output) ?? [];
          const said = `Error: Install the package "${needs}" to use this: npm install ${needs}`;
          if (first !== said || !peers.includes(needs)) throw new Error(`${path}: ${output}`);
        }
      },
    },
    {
      name: "mooring serve --metrics",
      run: () =>
        serves(
          [
            ...[node, bin("mooring", bare), "serve", "--stdio", `${node} counter.mjs`],
            ...["--port", "0", "--metrics", "0", "--data", "none"],
          ],
          bare,
        ),
    },
    {
      name: "the bundle of esbuild runs, within the budget",
      async run() {
        const esbuild = packageTool("esbuild/bin/esbuild");
        const flags = ["--bundle", "--minify", "--format=esm", "--outfile=esbuild.mjs"];
        await succeed([esbuild, "edge.mjs", ...flags], bare);
        await succeed([node, "try.mjs", "./esbuild.mjs"], bare);
        const made = await readFile(join(bare, "esbuild.mjs"));
        const gzip = gzipSync(made, { level: 9 }).length;
        console.log(`  bundle: ${made.length} bytes, ${gzip} with gzip`);
        if (made.length > BUDGET.plain || gzip > BUDGET.gzip) {
          throw new Error(`The budget is ${BUDGET.plain} bytes, ${BUDGET.gzip} with gzip`);
        }
      },
    },
    {
      name: "a Worker answers in workerd, and keeps a session",
      async run() {
        const esbuild = packageTool("esbuild/bin/esbuild");
        await succeed([esbuild, "worker.mjs", "--bundle", "--format=esm", "--outfile=w.mjs"], bare);
        await answersInWorkerd(await readFile(join(bare, "w.mjs"), "utf8"));
      },
    },
    {
      name: "the bundle of Vite runs",
      async run() {
        await succeed([node, packageTool("vite/bin/vite.js"), "build", "--logLevel=error"], bare);
        await succeed([node, "try.mjs", "./vite/edge.js"], bare);
      },
    },
  ];
  list.push(...startChecks({ bare, full, node: (args, cwd) => succeed([node, ...args], cwd) }));
  for (const resolution of ["nodenext", "bundler", "web"]) {
    list.push({
      name: `types, strict, ${resolution}`,
      async run() {
        const tsc = packageTool("typescript/bin/tsc");
        await succeed([node, tsc, "--project", `tsconfig.${resolution}.json`], full);
      },
    });
  }
  for (const { name, command, adapter } of consumerRuntimes()) {
    list.push({
      name: `every entry point, ${name}`,
      async run() {
        await succeed([...command, "entries.mjs"], full);
      },
    });
    list.push({
      name: `the README's program, ${name}`,
      async run() {
        const file = `readme-${adapter}.mjs`;
        await writeFile(join(bare, file), await readmeProgram(adapter));
        await serves([...command, file], bare);
      },
    });
    list.push({
      name: `a server on pipes, ${name}`,
      async run() {
        await succeed([node, "stdio_client.mjs", bare, ...command, "stdio.mjs"], full);
      },
    });
  }
  return list;
}

/** Packs, installs and tries the package. */
export async function consumers(): Promise<Tally> {
  const tarball = await pack();
  const bare = await project(tarball, await versionsOf(["zod"]));
  const peers = [
    ...["zod", "@modelcontextprotocol/client", "@noble/hashes", "hono", "jose", "oauth4webapi"],
    ...["ipaddr.js", "redis", "yaml", "@apidevtools/json-schema-ref-parser"],
  ];
  const observing = ["@opentelemetry/api", "prom-client"];
  const full = await project(tarball, await versionsOf([...peers, ...observing, "@types/node"]));
  try {
    let total = NOTHING;
    const attempt = async ({ name, run }: Check) => {
      try {
        await run();
        total = sum(total, { ...NOTHING, passed: 1 });
      } catch (error) {
        console.error(`  ${name}: ${wordsOf(error)}`);
        total = sum(total, { ...NOTHING, failed: 1 });
      }
    };
    for (const check of checks(bare, full, tarball)) await attempt(check);
    await using maker = await templateMaker(tarball);
    // Most of their time they wait for installations
    const walked = (async () => {
      for (const check of walkChecks((page) => walkPage(page, tarball))) await attempt(check);
    })();
    await Promise.all(NEW_RUNTIMES.map(async (runtime) => {
      for (const choices of TEMPLATES.filter((each) => each.runtime === runtime)) {
        const name = `mooring new, ${Object.values(choices).join(", ")}`;
        await attempt({ name, run: async () => void await maker.try(choices) });
      }
    }));
    await walked;
    return total;
  } finally {
    await rm(bare, { recursive: true });
    await rm(full, { recursive: true });
  }
}

/** Returns what an error says, and what its causes say. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${wordsOf(error.cause)}`;
}
