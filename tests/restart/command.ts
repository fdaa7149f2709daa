/**
 * `mooring serve` at one port, which tests kill and start again.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Program } from "../cli/program.ts";

/** A command that is killed and started again, with the same arguments and port. */
export class RestartedCommand {
  readonly #args: readonly string[];
  #program: Program | undefined;
  #port = 0;
  /** What all processes have logged. */
  #before = "";

  /** @param args The arguments of `mooring serve`, with a folder for its data */
  constructor(args: readonly string[]) {
    assert.ok(args.includes("--data"));
    this.#args = args;
  }

  /** The URL of the endpoint. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}/mcp`;
  }

  /** The process that runs now. */
  get program(): Program {
    return this.#program ?? assert.fail("Start it first");
  }

  /** The events of a type that all processes have logged. */
  events(type: string): Record<string, unknown>[] {
    return `${this.#before}${this.#program?.err ?? ""}`.split("\n")
      .filter((line) => line.includes(`"event":"${type}"`))
      .map((line) => JSON.parse(line));
  }

  async start(): Promise<void> {
    const args = ["serve", ...this.#args, "--port", `${this.#port}`, "--log", "json"];
    const program = new Program(args, { LOG: "debug" });
    this.#program = program;
    this.#port = Number(new URL(await program.url()).port);
  }

  /** Ends the process without a chance to store anything. */
  async kill(signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
    const program = this.#program;
    if (program === undefined) return;
    program.signal(signal);
    await program.ended;
    this.#before += program.err;
    this.#program = undefined;
  }

  async restart(signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
    await this.kill(signal);
    await this.start();
  }
}
