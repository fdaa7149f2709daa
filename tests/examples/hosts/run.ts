/**
 * Builds the examples of frameworks that have a build, with the npm package, starts them, and runs the
 * official clients against them. Prints a line for each scenario, and ends with `N passed, N failed`.
 *
 * @module
 */
import assert from "node:assert/strict";
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { pack } from "../../../tools/pack.ts";
import { answers, freePort } from "../../../tools/fixture.ts";
import { run, start } from "../../../tools/process.ts";
import { commandOf, HOSTS, install, installHosts, ROOT } from "../../../tools/runtimes.ts";
import { tallyLine } from "../../../tools/tally.ts";
import { type Host, hostScenarios } from "./scenarios.ts";

const BUILD_MS = 300_000;
const LIFE_MS = 300_000;

/** The example of a framework. */
interface Framework extends Omit<Host, "url"> {
  /** Its folder in `examples/hosts/`. */
  readonly name: string;
  /** Where the example keeps the server, which all examples share. */
  readonly server: string;
  readonly path: string;
  /** Files that only this test needs. */
  readonly files?: Readonly<Record<string, string>>;
  /** Arguments of Node. */
  readonly build: readonly string[];
  readonly start: readonly string[];
  /** What else must hold of the app. */
  also?(url: URL): Promise<void>;
}

const FRAMEWORKS: readonly Framework[] = [
  {
    name: "next",
    server: "lib/server.ts",
    path: "/api/mcp",
    // The packages are two folders further up than in a project of one's own.
    files: {
      "next.config.mjs": `export default { turbopack: { root: ${JSON.stringify(HOSTS)} } };`,
    },
    build: [join(HOSTS, "node_modules/next/dist/bin/next"), "build"],
    start: [join(HOSTS, "node_modules/next/dist/bin/next"), "start", "-H", "127.0.0.1"],
  },
  {
    name: "sveltekit",
    server: "src/lib/server/server.ts",
    path: "/mcp",
    headers: { "x-api-key": "demo-key" },
    build: [join(HOSTS, "node_modules/vite/bin/vite.js"), "build", "--logLevel=error"],
    start: ["build"],
    async also(url) {
      const response = await fetch(new URL("/", url), {
        method: "POST",
        body: new URLSearchParams({ a: "1" }),
        headers: { origin: "https://evil.example" },
      });
      assert.equal(await response.text(), "Forms of other sites are refused");
    },
  },
];

interface Versions {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

async function versions(file: string): Promise<Versions> {
  return JSON.parse(await readFile(file, "utf8"));
}

/** Copies an example to where it finds the packages, and builds it. */
async function build({ name, server, files = {}, build }: Framework): Promise<string> {
  const source = join(ROOT, "examples/hosts", name);
  const installed = (await versions(join(HOSTS, "package.json"))).dependencies;
  const { dependencies, devDependencies } = await versions(join(source, "package.json"));
  for (const [of, version] of Object.entries({ ...dependencies, ...devDependencies })) {
    if (of !== "@mooring/mcp") assert.equal(installed[of], version, `tools/hosts: ${of}`);
  }
  const folder = join(HOSTS, "work", name);
  await rm(folder, { recursive: true, force: true });
  await cp(source, folder, { recursive: true });
  await cp(join(ROOT, "examples/hosts/server.ts"), join(folder, server));
  for (const [file, text] of Object.entries(files)) await writeFile(join(folder, file), text);
  const { code, output } = await run(commandOf("node").program, build, {
    cwd: folder,
    limitMs: BUILD_MS,
    env: { NEXT_TELEMETRY_DISABLED: "1" },
  });
  if (code !== 0) throw new Error(`The build ended with ${code}:\n${output}`);
  return folder;
}

/** Installs the npm package as built, beside the frameworks. */
async function installPackage(): Promise<void> {
  await pack();
  const place = join(HOSTS, "node_modules/@mooring/mcp");
  await rm(place, { recursive: true, force: true });
  await mkdir(place, { recursive: true });
  await cp(join(ROOT, "dist/package"), place, { recursive: true });
}

async function main(): Promise<number> {
  await install();
  await installHosts();
  await installPackage();
  const tally = { passed: 0, failed: 0, skipped: 0 };
  const report = (title: string, error?: unknown): void => {
    const count = error === undefined ? ++tally.passed : ++tally.failed;
    console.log(`${error === undefined ? "ok" : "not ok"} ${count} - ${title}`);
    if (error instanceof Error) console.log((error.stack ?? error.message).replace(/^/gm, "  # "));
  };
  for (const framework of FRAMEWORKS) {
    const { name, path, headers } = framework;
    try {
      const cwd = await build(framework);
      report(`${name}: [HOST-5] builds`);
      const port = String(await freePort());
      const service = start(commandOf("node").program, framework.start, {
        cwd,
        limitMs: LIFE_MS,
        env: { PORT: port, HOST: "127.0.0.1", NEXT_TELEMETRY_DISABLED: "1" },
      });
      const url = `http://127.0.0.1:${port}${path}`;
      try {
        await answers(url);
        const scenarios = hostScenarios(framework);
        const { also } = framework;
        if (also) scenarios.push({ name: "the app's own", run: () => also(new URL(url)) });
        for (const scenario of scenarios) {
          await scenario.run({ url, headers }).then(
            () => report(`${name}: ${scenario.name}`),
            (error) => report(`${name}: ${scenario.name}`, error),
          );
        }
      } finally {
        const { output } = await service.stop();
        if (tally.failed > 0) console.log(output.replace(/^/gm, "  # "));
      }
    } catch (error) {
      report(name, error);
    }
  }
  console.log(tallyLine(tally));
  return tally.failed === 0 && tally.passed > 0 ? 0 : 1;
}

if (import.meta.main) process.exit(await main());
