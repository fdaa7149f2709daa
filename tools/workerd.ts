/**
 * Runs a Worker in workerd, the runtime of Cloudflare Workers, with the Durable Objects of its sessions.
 *
 * @module
 */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Outcome, run, start } from "./process.ts";
import { commandOf, pinned, ROOT } from "./runtimes.ts";

const LIMIT_MS = 60_000;
const LIFE_MS = 300_000;

/** The date of the runtime's behaviour: that of docs/workers.md. */
export const COMPATIBILITY_DATE = "2026-11-01";

/** The path of the runtime's program. */
export const WORKERD: string = pinned("@cloudflare/workerd-linux-64/bin/workerd");

/** A running Worker. */
export interface RunningWorker {
  /** Its origin, such as `http://127.0.0.1:1234`. */
  readonly origin: string;
  /** Settles when its process ends. Before {@linkcode stop}, that is a crash. */
  readonly ended: Promise<Outcome>;
  /** Returns what it has written. */
  output(): string;
  /** Ends its process as a crash does, and starts another one with the same storage. */
  restart(): Promise<void>;
  /** Ends its process, and deletes its storage. */
  stop(): Promise<Outcome>;
}

/** Options for {@linkcode startWorker}. */
export interface WorkerOptions {
  /** Text bindings. */
  readonly vars?: Readonly<Record<string, string>>;
  /** The name of an exported class of Durable Objects, which is bound as `MCP_SESSION`; none if left out. */
  readonly sessions?: string;
}

/**
 * Bundles a module into one text.
 *
 * @param file The module, from the project's root or absolute
 * @param platform Where it runs, in the words of esbuild
 * @throws {Error} If it can't be bundled
 */
export async function bundle(file: string, platform?: "node"): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "bundle-"));
  try {
    const to = join(folder, "bundle.js");
    const { program } = commandOf("node");
    const { code, output } = await run(program, [
      pinned("esbuild/bin/esbuild"),
      join(ROOT, file),
      ...["--bundle", "--format=esm", "--log-level=warning", `--outfile=${to}`],
      ...platform === undefined ? [] : [`--platform=${platform}`],
    ], { cwd: ROOT, limitMs: LIMIT_MS });
    if (code !== 0) throw new Error(`Look why ${file} can't be bundled:\n${output}`);
    return await readFile(to, "utf8");
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Starts a Worker and waits until it listens. */
export async function startWorker(
  script: string,
  options: WorkerOptions = {},
): Promise<RunningWorker> {
  const folder = await mkdtemp(join(tmpdir(), "workerd-"));
  await mkdir(join(folder, "storage"));
  await writeFile(join(folder, "worker.js"), script);
  await writeFile(join(folder, "config.capnp"), configuration(options));
  const before: string[] = [];
  let current = await listen(folder);
  return {
    get origin() {
      return current.origin;
    },
    get ended() {
      return current.service.ended;
    },
    output: () => [...before, current.output()].join(""),
    async restart() {
      before.push((await current.service.stop()).output);
      current = await listen(folder);
    },
    async stop() {
      const outcome = await current.service.stop();
      await rm(folder, { recursive: true });
      return outcome;
    },
  };
}

async function listen(folder: string) {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  let output = "";
  const args = ["serve", "config.capnp", "--experimental", "--control-fd=1"];
  const service = start(WORKERD, args, {
    cwd: folder,
    limitMs: LIFE_MS,
    onLine(line) {
      output += `${line}\n`;
      const port = /"event":"listen","socket":"http","port":(\d+)/.exec(line)?.[1];
      if (port !== undefined) resolve(`http://127.0.0.1:${port}`);
    },
  });
  void service.ended.then((outcome) => reject(new Error(`workerd ended:\n${outcome.output}`)));
  return { origin: await promise, service, output: () => output };
}

function configuration({ vars = {}, sessions }: WorkerOptions): string {
  const text = (value: string) => JSON.stringify(value);
  const bindings = Object.entries(vars).map(([name, value]) =>
    `(name = ${text(name)}, text = ${text(value)})`
  );
  if (sessions !== undefined) {
    bindings.push(`(name = "MCP_SESSION", durableObjectNamespace = ${text(sessions)})`);
  }
  const objects = sessions === undefined ? "" : `
  durableObjectNamespaces = [
    (className = ${text(sessions)}, uniqueKey = "mcp-session", enableSql = true),
  ],
  durableObjectStorage = (localDisk = "storage"),`;
  return `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = .worker),
    (name = "internet", network = (allow = ["public", "private", "local"])),
    (name = "storage", disk = (path = "storage", writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
const worker :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = ${text(COMPATIBILITY_DATE)},
  bindings = [${bindings.join(", ")}],${objects}
);
`;
}
