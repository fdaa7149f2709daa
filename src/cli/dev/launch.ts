/**
 * Starts one version of a server, and waits until it can be called.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { connect } from "node:net";
import process from "node:process";
import { type Clock, createMcpHandler } from "../../../mod.ts";
import { gateway, stdio } from "../../gateway/mod.ts";
import { Lines } from "../../kit.ts";
import { freePort } from "../../kit_node.ts";
import { type DevFailure, failureOf } from "./failure.ts";
import type { DevTarget } from "./target.ts";

/** A server that runs. */
export interface DevVersion {
  /** Counts the versions, from 1. */
  readonly number: number;
  /** Sends it a request, whose path is that of the client's. */
  fetch(path: string, init: RequestInit): Promise<Response>;
  /** The path that it says it has, if it does. */
  readonly path: string | undefined;
  /** The name of this machine by which it knows its endpoint for clients, if it names that. */
  readonly hostname?: string | undefined;
  /** Whether it listens at a port that it wasn't told to, so that there can't be two of it. */
  readonly isFixed: boolean;
  /** Resolves when it has ended, with what it wrote. */
  readonly ended: Promise<DevFailure>;
  readonly hasEnded: () => boolean;
  /** Ends it. Safe to call twice. */
  close(): Promise<void>;
}

/** Options for {@linkcode launch}. */
export interface LaunchInit {
  readonly target: DevTarget;
  readonly number: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Takes what the program writes. */
  readonly print: (text: string) => void;
  /** The port of clients, which stands for the program's own in what is printed. */
  readonly shownPort: number;
  /** How long it may take until the program can be called, in milliseconds. */
  readonly startMs: number;
  readonly signal: AbortSignal;
}

/** Thrown when a version doesn't run. */
export class LaunchError extends Error {
  override readonly name = "LaunchError";
  readonly failure: DevFailure;

  constructor(failure: DevFailure) {
    super(failure.message);
    this.failure = failure;
  }
}

/** The name of the variable that tells `serve()` where to listen. */
export const DEV_PORT = "MOORING_DEV_PORT";
/** How often it is tried whether the program listens, in milliseconds. */
const TRY_MS = 15;
/** How long the program may take to end before it is killed, in milliseconds. */
const END_MS = 2_000;
/** Characters of the output that are kept. */
const KEPT = 64 * 1024;
/** The most bytes of a line of JSON. */
const MAX_LINE = 1024 * 1024;
/** The id of the question whether the program speaks on its pipes. */
const PROBE = "mooring-dev";

/** What shows that a program serves. */
type Sign =
  | {
    readonly kind: "http";
    readonly port: number;
    readonly path?: string;
    readonly hostname?: string;
  }
  | { readonly kind: "stdio" };

/**
 * Starts a version.
 *
 * @throws {LaunchError} If it ends, or doesn't serve in time
 * @throws {AbortSignal["reason"]} If the signal aborts
 */
export async function launch(init: LaunchInit): Promise<DevVersion> {
  const { target, number, signal } = init;
  if (target.kind === "url") {
    const { origin } = target.url;
    return {
      number,
      fetch: (path, init) => fetch(`${origin}${path}`, init),
      path: target.url.pathname,
      isFixed: false,
      ended: new Promise(() => {}),
      hasEnded: () => false,
      close: () => Promise.resolve(),
    };
  }
  const port = await freePort("127.0.0.1", 0);
  signal.throwIfAborted();
  const program = new Running(init, target, port);
  try {
    const sign = await program.sign();
    if (sign.kind === "stdio") {
      await program.close();
      return overPipes(init, target, port);
    }
    return {
      number,
      fetch: (path, init) => fetch(`http://127.0.0.1:${sign.port}${path}`, init),
      path: sign.path,
      hostname: sign.hostname,
      isFixed: sign.port !== port,
      ended: program.ended,
      hasEnded: () => program.isOver,
      close: () => program.close(),
    };
  } catch (error) {
    await program.close();
    throw error;
  }
}

/** A program that was started. */
class Running {
  readonly #init: LaunchInit;
  readonly #root: string;
  readonly #port: number;
  readonly #child: ChildProcess;
  readonly #sign = Promise.withResolvers<Sign>();
  readonly #lines = new Lines({ maxBytes: MAX_LINE });
  readonly ended: Promise<DevFailure>;
  isOver = false;
  #output = "";
  #named: URL | undefined;
  #closed: Promise<void> | undefined;

  constructor(
    init: LaunchInit,
    target: Extract<DevTarget, { kind: "program" }>,
    port: number,
  ) {
    this.#init = init;
    this.#root = target.root;
    this.#port = port;
    const [program = "", ...args] = target.command(port);
    const child = this.#child = spawn(program, args, {
      cwd: target.root,
      env: { ...init.env, PORT: String(port), [DEV_PORT]: String(port), NO_COLOR: "1" },
      stdio: ["pipe", "pipe", "pipe"],
    });
    process.once("exit", this.#kill);
    child.stdin?.on("error", () => {});
    child.stdin?.write(`${JSON.stringify(initializeMessage())}\n`);
    child.stdout?.on("data", (chunk: Uint8Array) => this.#read(chunk));
    const decoder = new TextDecoder();
    child.stderr?.on("data", (chunk: Uint8Array) => {
      this.#print(decoder.decode(chunk, { stream: true }));
    });
    const { promise, resolve } = Promise.withResolvers<DevFailure>();
    this.ended = promise;
    const over = (otherwise: string) => {
      if (this.isOver) return;
      this.isOver = true;
      process.off("exit", this.#kill);
      void failureOf(this.#output, this.#root, otherwise).then((failure) => {
        resolve(failure);
        this.#sign.reject(new LaunchError(failure));
      });
    };
    this.#sign.promise.catch(() => {});
    child.once("error", (error) => over(`Can't start ${program}: ${error.message}`));
    child.once("close", (code, signal) => over(`The program ended with ${signal ?? code}`));
  }

  readonly #kill = () => void this.#child.kill("SIGKILL");

  /** Waits until the program shows that it serves. */
  async sign(): Promise<Sign> {
    const { clock, startMs, signal } = this.#init;
    const stop = clock.timer(startMs, () => {
      const otherwise = `It neither listens at the port in PORT nor answers on its pipes in ` +
        `${Math.ceil(startMs / 1_000)} s`;
      void failureOf(this.#output, this.#root, otherwise)
        .then((failure) => this.#sign.reject(new LaunchError(failure)));
    });
    const abort = () => this.#sign.reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });
    const trying = setInterval(() => void this.#try(this.#port), TRY_MS);
    try {
      return await this.#sign.promise;
    } finally {
      clearInterval(trying);
      signal.removeEventListener("abort", abort);
      stop();
    }
  }

  /** Ends the program. */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    if (this.isOver) return;
    this.#child.stdin?.end();
    this.#child.kill("SIGTERM");
    const timer = setTimeout(this.#kill, END_MS);
    await this.ended;
    clearTimeout(timer);
  }

  async #try(port: number): Promise<void> {
    if (!await listensAt(port)) return;
    const named = this.#named;
    this.#sign.resolve({
      kind: "http",
      port,
      ...named !== undefined && { path: named.pathname },
      ...named !== undefined && portOf(named) === this.#init.shownPort &&
        { hostname: named.hostname },
    });
  }

  #read(chunk: Uint8Array): void {
    try {
      for (const line of this.#lines.push(chunk)) {
        const text = new TextDecoder().decode(line);
        if (isProbeAnswer(text)) this.#sign.resolve({ kind: "stdio" });
        else this.#print(`${text}\n`);
      }
    } catch {
      // A line that long is no message
    }
  }

  #print(text: string): void {
    this.#output = `${this.#output}${text}`.slice(-KEPT);
    // Who copies the URL that a program prints wants the one that stays
    this.#init.print(text.replaceAll(`:${this.#port}/`, `:${this.#init.shownPort}/`));
    const [url] = /https?:\/\/(?:localhost|127\.0\.0\.1|\[::1\]|0\.0\.0\.0)(?::\d+)?[^\s"']*/
      .exec(text) ?? [];
    const named = url === undefined ? null : URL.parse(url);
    if (named === null) return;
    this.#named ??= named;
    // It listens where it wants, but not where clients already connect: that is what calls it
    const port = portOf(named);
    if (port !== this.#port && port !== this.#init.shownPort) void this.#try(port);
  }
}

function portOf({ port, protocol }: URL): number {
  return Number(port || (protocol === "https:" ? 443 : 80));
}

function listensAt(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    const done = (found: boolean) => {
      socket.destroy();
      resolve(found);
    };
    socket.once("connect", () => done(true));
    socket.once("error", () => done(false));
    socket.setTimeout(1_000, () => done(false));
  });
}

/** Returns the message that a program on pipes answers. One that listens doesn't read it. */
function initializeMessage(): object {
  return {
    jsonrpc: "2.0",
    id: PROBE,
    method: "initialize",
    params: {
      protocolVersion: "2025-11-25",
      capabilities: {},
      clientInfo: { name: PROBE, version: "1.0.0" },
    },
  };
}

function isProbeAnswer(line: string): boolean {
  return line.startsWith("{") && line.includes(`"${PROBE}"`) && line.includes('"jsonrpc"');
}

/** Serves a program on pipes: a process of its own for each session. */
function overPipes(
  { env, number, print }: LaunchInit,
  target: Extract<DevTarget, { kind: "program" }>,
  port: number,
): DevVersion {
  const [command = "", ...args] = target.command(port);
  const known = Object.entries(env)
    .flatMap(([name, value]) => value === undefined ? [] : [[name, value]]);
  const front = gateway({
    upstreams: {
      dev: stdio({ command, args, cwd: target.root, env: Object.fromEntries(known) }),
    },
  });
  const handler = createMcpHandler(front.view({ only: "dev" }), {
    onEvent(event) {
      if (event.type === "upstream-output") print(`${event.text}\n`);
    },
  });
  let closed: Promise<void> | undefined;
  return {
    number,
    fetch: (path, init) => handler(new Request(`http://127.0.0.1:${port}${path}`, init)),
    path: undefined,
    isFixed: false,
    ended: new Promise(() => {}),
    hasEnded: () => false,
    close: () =>
      closed ??= (async () => {
        await handler.close({ graceMs: 0 });
        await front.close();
      })(),
  };
}
