/**
 * Other programs that put a server over stdio behind HTTP, with sessions.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { commandOf, ROOT } from "../tools/runtimes.ts";

/** How often to look whether one listens, and for how long, in milliseconds. */
const LOOK_MS = 50;
const START_MS = 20_000;

/** How many milliseconds a tick is in which Linux tells what a process has used. */
const TICK_MS = 10;

/** How each of them is started, before the program that it serves. */
const PROXIES = {
  "supergateway": (port, command) => [
    ...["--outputTransport", "streamableHttp", "--stateful", "--logLevel", "none"],
    ...["--port", `${port}`, "--stdio", command.map((part) => `"${part}"`).join(" ")],
  ],
  "mcp-proxy": (port, command) => [
    ...["--server", "stream", "--host", "127.0.0.1", "--port", `${port}`, "--", ...command],
  ],
} satisfies Readonly<Record<string, (port: number, command: readonly string[]) => string[]>>;

/** The name of one. */
export type ProxyName = keyof typeof PROXIES;

/** Every name of one. */
export const PROXY_NAMES = Object.keys(PROXIES) as readonly ProxyName[]; // the keys of a constant

/** What a proxy is given to serve a program on a port. */
export function proxyArgs(name: ProxyName, port: number, command: readonly string[]): string[] {
  return PROXIES[name](port, command);
}

/** One that listens. */
export class Proxy implements AsyncDisposable {
  readonly port: number;
  readonly #child: ChildProcess;

  /**
   * Starts one.
   *
   * @throws {Error} If it doesn't listen in time
   */
  static async start(name: ProxyName, command: readonly string[]): Promise<Proxy> {
    const proxy = new Proxy(name, await freePort(), command);
    for (let waited = 0; !await listens(proxy.port); waited += LOOK_MS) {
      if (waited >= START_MS) {
        await proxy[Symbol.asyncDispose]();
        throw new Error(`Look why this doesn't listen: ${name}`);
      }
      await sleep(LOOK_MS);
    }
    return proxy;
  }

  private constructor(name: ProxyName, port: number, command: readonly string[]) {
    this.port = port;
    const path = `${ROOT}node_modules/.bin/${name}`;
    this.#child = spawn(commandOf("node").program, [path, ...proxyArgs(name, port, command)], {
      cwd: ROOT,
      stdio: "ignore",
      // A group of its own, so that what it has started ends with it.
      detached: true,
      env: { ...process.env, NO_COLOR: "1", NODE_ENV: "production" },
    });
  }

  /** Milliseconds of processor time of the whole process so far; `NaN` elsewhere than on Linux. */
  get cpuMs(): number {
    try {
      return cpuMsIn(readFileSync(`/proc/${this.#child.pid}/stat`, "utf8"));
    } catch {
      return NaN;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { pid, exitCode, signalCode } = this.#child;
    if (pid === undefined || exitCode !== null || signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once("exit", resolve));
    process.kill(-pid, "SIGKILL");
    await ended;
  }
}

/** The processor time that Linux tells of a process: `utime` and `stime` of proc_pid_stat(5). */
export function cpuMsIn(stat: string): number {
  // The program's name, in parentheses, may hold anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (address === null || typeof address === "string") throw new Error("No port is free");
  return address.port;
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port });
    const finish = (yes: boolean): void => {
      socket.destroy();
      resolve(yes);
    };
    socket.on("connect", () => finish(true));
    socket.on("error", () => finish(false));
  });
}
