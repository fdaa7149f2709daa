/**
 * Tries each project of `mooring new` as people get it: written by `create-mooring` from the tarballs,
 * installed, checked, tested and called. As a program it prints how long that takes from an empty folder to
 * the first call; `--package TARBALL` saves making the package.
 *
 * @module
 */
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { type Choices, NEW_AUTHS, NEW_RUNTIMES, NEW_TRANSPORTS } from "../src/cli/new/choices.ts";
import { NEEDED } from "../src/cli/new/project.ts";
import { createTarball, pack } from "./pack.ts";
import { run, type RunOptions, start } from "./process.ts";
import { commandOf, install, installPackageTools } from "./runtimes.ts";

const LIMIT_MS = 180_000;

/** The types of Node's modules, which Deno has itself where it installs the packages. */
const TYPES = `@types/node@${NEEDED["@types/node"]}`;

/** How long the steps of a project took, in milliseconds. */
export interface TemplateRun {
  readonly name: string;
  /** From the empty folder to the answer of the first call: written, installed, started, called. */
  readonly firstCallMs: number;
  readonly checkMs: number;
  readonly testMs: number;
}

/** Every kind of project. */
export const TEMPLATES: readonly Choices[] = NEW_RUNTIMES.flatMap((runtime) =>
  NEW_TRANSPORTS.flatMap((transport) =>
    NEW_AUTHS.filter((auth) => transport === "http" || auth === "none")
      .map((auth) => ({ runtime, transport, auth }))
  )
);

/** What projects are made with. */
export interface TemplateMaker extends AsyncDisposable {
  /**
   * Makes a project, and tries it.
   *
   * @throws {Error} If a step fails, with what it wrote
   */
  try(choices: Choices): Promise<TemplateRun>;
}

/** Installs `create-mooring` from its tarball, with the pinned runtimes on the path. */
export async function templateMaker(tarball: string): Promise<TemplateMaker> {
  await install();
  const folder = await mkdtemp(join(tmpdir(), "templates-"));
  const bin = join(folder, "bin");
  await mkdir(bin);
  for (const runtime of NEW_RUNTIMES) {
    await symlink(commandOf(runtime).program, join(bin, runtime));
  }
  const env = {
    PATH: `${bin}${delimiter}${process.env["PATH"] ?? ""}`,
    HOME: folder,
    npm_config_cache: process.env["npm_config_cache"] ??
      join(process.env["HOME"] ?? folder, ".npm"),
    DENO_DIR: process.env["DENO_DIR"] ?? join(process.env["HOME"] ?? folder, ".cache", "deno"),
    DENO_NO_UPDATE_CHECK: "1",
  };
  const succeed = async (command: string, cwd: string, more: Partial<RunOptions> = {}) => {
    const [program = "", ...args] = command.split(" ");
    const outcome = await run(program, args, { cwd, env, limitMs: LIMIT_MS, ...more });
    if (outcome.code === 0) return outcome;
    throw new Error(`${command} ended with ${outcome.code}:\n${outcome.output}`);
  };
  await writeFile(join(folder, "package.json"), '{ "private": true }\n');
  await succeed(`npm install --silent ${tarball} ${createTarball(tarball)}`, folder);

  async function tryProject(choices: Choices): Promise<TemplateRun> {
    const { runtime, transport, auth } = choices;
    const name = `${runtime}-${transport}-${auth}`;
    const project = join(folder, name);
    const began = performance.now();
    const options = `--runtime ${runtime} --transport ${transport} --auth ${auth}`;
    // Deno takes no tarball: the project's range is right for the one that is installed
    const from = runtime === "deno" ? "" : ` --package ${tarball}`;
    const made = await succeed(
      `node ${folder}/node_modules/.bin/create-mooring ${name} ${options}${from}`,
      folder,
    );
    const port = await freePort();
    await usePort(project, port);
    if (runtime === "deno") await installForDeno(project, tarball);
    else {await succeed(
        runtime === "bun" ? "bun install --silent" : "npm install --silent",
        project,
      );}
    const script = (what: string) =>
      runtime === "deno"
        ? `deno task --quiet ${what}`
        : runtime === "bun"
        ? `bun run ${what}`
        : `npm run ${what}`;
    if (transport === "stdio") {
      expectTasks((await succeed(script("call"), project)).output, made.output);
    } else {
      await whileServing(script("start"), project, async () => {
        if (auth === "sign-in") await expectChallenge(`http://localhost:${port}/mcp`);
        else expectTasks((await succeed(script("call"), project)).output, made.output);
        if (auth === "bearer") await expectChallenge(`http://127.0.0.1:${port}/mcp`);
      });
    }
    const firstCallMs = performance.now() - began;
    const { ms: checkMs } = await succeed(script("check"), project);
    const { ms: testMs, output } = await succeed(script("test"), project);
    if (!/2 pass|pass 2/.test(output)) throw new Error(`Not both tests passed:\n${output}`);
    return { name, firstCallMs, checkMs, testMs };
  }

  /** Runs the server while `use` calls it. */
  async function whileServing(
    command: string,
    cwd: string,
    use: () => Promise<void>,
  ): Promise<void> {
    const [program = "", ...args] = command.split(" ");
    const listening = Promise.withResolvers<void>();
    const service = start(program, args, {
      cwd,
      env,
      limitMs: LIMIT_MS,
      onLine: (line) => line.includes("Listening at http://") && listening.resolve(),
    });
    void service.ended.then(({ output }) => {
      listening.reject(new Error(`${command} ended:\n${output}`));
    });
    let failure: unknown;
    try {
      await listening.promise;
      await use();
    } catch (error) {
      failure = error;
    }
    await service.stop();
    if (failure === undefined) return;
    const { output } = await service.ended;
    throw new Error(`${command} failed, and wrote:\n${output}`, { cause: failure });
  }

  return {
    try: tryProject,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true }),
  };
}

/** Installs what a project's deno.json names with npm, as Deno can't install a tarball. */
async function installForDeno(project: string, tarball: string): Promise<void> {
  const file = join(project, "deno.json");
  const config: {
    readonly imports: Readonly<Record<string, string>>;
    readonly tasks: Readonly<Record<string, string>>;
  } = JSON.parse(await readFile(file, "utf8"));
  const packages = Object.entries(config.imports).map(([name, specifier]) =>
    name === "@mooring/mcp" ? tarball : specifier.replace(/^npm:/, "")
  );
  await writeFile(join(project, "package.json"), '{ "private": true, "type": "module" }\n');
  const { code, output } = await run("npm", ["install", "--silent", ...packages, TYPES], {
    cwd: project,
    limitMs: LIMIT_MS,
  });
  if (code !== 0) throw new Error(`npm install ended with ${code}:\n${output}`);
  const tasks = Object.fromEntries(
    Object.entries(config.tasks).map(([name, task]) => [
      name,
      task.replace(/npm:@mooring\/mcp@[^/]+\/mooring/, "node_modules/@mooring/mcp/bin/mooring.js"),
    ]),
  );
  await writeFile(file, JSON.stringify({ ...config, tasks, nodeModulesDir: "manual" }));
}

/** Writes another port into the files of a project, and what sign-in needs. */
async function usePort(project: string, port: number): Promise<void> {
  for (const name of ["main.ts", "package.json", "deno.json", ".env", ".mcp.json"]) {
    const file = join(project, name);
    const text = await readFile(file, "utf8").catch(() => undefined);
    if (text === undefined) continue;
    await writeFile(
      file,
      text.replaceAll("8000", String(port)).replace("CLIENT_ID=\n", "CLIENT_ID=demo\n"),
    );
  }
  await chmod(join(project, ".env"), 0o600).catch(() => {});
}

function expectTasks(output: string, made: string): void {
  if (!output.includes("tasks")) throw new Error(`It didn't list tasks:\n${output}\n${made}`);
}

/** Checks that nobody gets in without a token. */
async function expectChallenge(url: string): Promise<void> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" }),
  });
  await response.body?.cancel();
  if (response.status !== 401 || !response.headers.has("www-authenticate")) {
    throw new Error(`It let somebody in without a token: ${response.status}`);
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { package: { type: "string" }, only: { type: "string", default: "" } },
  });
  await installPackageTools();
  const tarball = values.package === undefined
    ? await pack((line) => console.error(line))
    : resolve(values.package);
  await using maker = await templateMaker(tarball);
  const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`.padStart(8);
  console.log(`${"".padEnd(20)}  to the first call   types    test`);
  for (const choices of TEMPLATES) {
    const name = Object.values(choices).join("-");
    if (!name.includes(values.only)) continue;
    const { firstCallMs, checkMs, testMs } = await maker.try(choices);
    console.log(
      `${name.padEnd(20)} ${seconds(firstCallMs).padStart(18)} ${seconds(checkMs)}${
        seconds(testMs)
      }`,
    );
  }
}

if (import.meta.main) await main();
