/**
 * Runs `mooring dev`: a server that is started again whenever its files change, behind an endpoint that keeps
 * its clients, with a page of every message.
 *
 * @module
 */
import process from "node:process";
import type { Clock } from "../../../mod.ts";
import { escapeInvisible, quote, randomText, systemClock } from "../../kit.ts";
import { freePort } from "../../kit_node.ts";
import { CliError, ExitCode, messageOf } from "../errors.ts";
import type { Io } from "../io.ts";
import { type BoundListener, listen } from "../serve/listen.ts";
import { failureText } from "./failure.ts";
import { FileStamps } from "./file_stamps.ts";
import { type Inspector, startInspector } from "./inspector.ts";
import { launch } from "./launch.ts";
import { DevPage } from "./page.ts";
import { Relay } from "./relay.ts";
import { type DevTarget, targetOf } from "./target.ts";
import { Trace } from "./trace.ts";
import { type VersionReport, Versions } from "./versions.ts";

/** The options of `mooring dev`. */
export interface DevOptions {
  readonly runtime?: string;
  readonly port?: number;
  readonly pagePort?: number;
  /** Opens the official inspector, connected. */
  readonly inspector?: boolean;
}

const HOST = "127.0.0.1";
const PORT = 8_000;
const PAGE_PORT = 8_001;
/** How often files are looked at, in milliseconds; at each request they are looked at, too. */
const LOOK_MS = 300;
/** How long a version may take to start, and a request waits for it, in milliseconds. */
const START_MS = 30_000;
const WAIT_MS = 40_000;
/** How long calls of a version that was replaced may take, in milliseconds. */
const GRACE_MS = 10_000;
/** Characters of the inspector's secret. */
const TOKEN = 43;

/**
 * Serves until a signal stops it.
 *
 * @param args The arguments of the program
 * @throws {CliError} If it can't listen, or it isn't known what to run
 */
export async function dev(
  given: string,
  args: readonly string[],
  options: DevOptions,
  io: Io,
  clock: Clock = systemClock,
): Promise<ExitCode> {
  const stopped = Promise.withResolvers<void>();
  const ignore = io.onSignal(["SIGINT", "SIGTERM"], stopped.resolve);
  const target = await targetOf(given, { runtime: options.runtime, cwd: process.cwd(), args });
  const server = await DevServer.start({ target, what: given, options, io, clock });
  if (options.inspector === true) await server.inspect();
  await stopped.promise;
  ignore();
  await server.close();
  return ExitCode.Ok;
}

interface DevServerInit {
  readonly target: DevTarget;
  readonly what: string;
  readonly options: DevOptions;
  readonly io: Io;
  readonly clock: Clock;
}

/** What `mooring dev` runs. */
class DevServer {
  readonly #init: DevServerInit;
  readonly #stamps: FileStamps | undefined;
  readonly #trace: Trace;
  readonly #versions: Versions;
  readonly #relay: Relay;
  readonly #page: DevPage;
  readonly #listeners: BoundListener[] = [];
  readonly #watchers = new Set<() => void>();
  #looking: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;
  #inspector: Inspector | undefined;

  private constructor(init: DevServerInit) {
    const { target, clock } = init;
    this.#init = init;
    this.#trace = new Trace(() => clock.now());
    const stamps = this.#stamps = target.kind === "program"
      ? new FileStamps(target.root, target.alone ? target.file : undefined)
      : undefined;
    this.#versions = new Versions({
      launch: (own) =>
        launch({
          ...own,
          target,
          env: process.env,
          clock,
          print: (text) => this.#print(text),
          shownPort: this.#listeners[0]?.port ?? 0,
          startMs: START_MS,
        }),
      stamps,
      clock,
      waitMs: WAIT_MS,
      graceMs: GRACE_MS,
      report: (report) => this.#report(report),
    });
    this.#relay = new Relay(this.#versions, this.#trace);
    this.#page = new DevPage({
      trace: this.#trace,
      state: () => ({
        url: this.url,
        what: init.what,
        version: this.#versions.answering?.number,
        failure: this.#versions.failure,
        sessions: this.#relay.sessions,
      }),
      onOpened: () => this.#say(`For another browser: ${this.#link()} (once)`),
      onState: (listener) => {
        this.#watchers.add(listener);
        return () => void this.#watchers.delete(listener);
      },
    });
  }

  /** Starts listening, and then the first version. */
  static async start(init: DevServerInit): Promise<DevServer> {
    const server = new DevServer(init);
    const { options } = init;
    const { port = PORT, pagePort = PAGE_PORT } = options;
    const failed = (error: unknown) => server.#print(`${messageOf(error)}\n`);
    try {
      const { fetch } = server.#relay;
      server.#listeners.push(await listen({ hostname: HOST, port, fetch, failed }));
      server.#listeners.push(
        await listen({ hostname: HOST, port: pagePort, fetch: server.#page.fetch, failed }, {
          port: "--page-port",
        }),
      );
    } catch (error) {
      await server.close();
      throw error instanceof CliError ? error : new CliError(messageOf(error));
    }
    await server.#versions.start();
    server.#say(`Serving ${quote(init.what, 200)} at ${server.url}`);
    server.#say(`Every message: ${server.#link()} (once)`);
    if (options.inspector !== true) server.#say("Forms: --inspector starts the official inspector");
    if (server.#stamps?.isPartial) {
      server.#say("There are too many files below the program's folder: some changes aren't seen");
    }
    server.#lookAgain();
    return server;
  }

  /** The URL for clients. */
  get url(): string {
    const { path = "/mcp", hostname = HOST } = this.#versions.answering ?? {};
    return `http://${hostname}:${this.#listeners[0]?.port ?? 0}${path}`;
  }

  /** Starts the official inspector, connected. */
  async inspect(): Promise<void> {
    const port = await freePort(HOST, 0);
    this.#inspector = await startInspector(this.url, port, randomText(TOKEN), (text) => {
      if (!this.#isClosed) this.#say(text);
    });
  }

  /** Ends everything. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#looking);
    this.#page.close();
    const ended = this.#versions.close();
    await Promise.all(this.#listeners.map((listener) => listener.stop()));
    await ended;
    await this.#inspector?.close();
  }

  #link(): string {
    return `http://${HOST}:${this.#listeners[1]?.port ?? 0}${this.#page.link()}`;
  }

  #lookAgain(): void {
    if (this.#isClosed) return;
    const began = performance.now();
    void this.#versions.look().then(() => {
      if (this.#isClosed) return;
      // Many files take longer: no more than a twentieth of the time is spent on them
      const took = performance.now() - began;
      this.#looking = setTimeout(() => this.#lookAgain(), Math.max(LOOK_MS, took * 20));
    });
  }

  #report(report: VersionReport): void {
    const { root } = this.#init.target.kind === "program" ? this.#init.target : { root: "" };
    switch (report.type) {
      case "changed": {
        const [file = "", ...others] = report.files.map((path) => path.slice(root.length + 1));
        const more = others.length > 0 ? ` and ${others.length} more` : "";
        this.#trace.note("changed", `${file}${more}`);
        break;
      }
      case "answers":
        this.#trace.note("answers", `Version ${report.number}`, report.number);
        if (report.number > 1) {
          this.#say(`Version ${report.number} answers, after ${Math.round(report.ms)} ms`);
        }
        break;
      case "failed":
      case "ended": {
        const text = failureText(report.failure);
        this.#trace.note(report.type, text);
        this.#say(text);
        if (report.type === "ended") {
          this.#say("The server has ended. The next call starts it again");
        } else if (report.answering) this.#say("The version before goes on answering");
        else this.#say("Nothing answers until a file changes");
      }
    }
    for (const watcher of [...this.#watchers]) watcher();
  }

  #say(text: string): void {
    this.#init.io.out.write(`${escapeInvisible(text)}\n`);
  }

  /** Writes what the program writes. */
  #print(text: string): void {
    this.#init.io.err.write(text);
  }
}
