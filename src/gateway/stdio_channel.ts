/**
 * Carries messages over the standard streams of a child process: one JSON text a line
 * (2025-11-25, Transports, stdio).
 *
 * @module
 */
import type { Channel, Message } from "./channel.ts";
import { Child } from "./child.ts";
import { Lines } from "./lines.ts";
import type { StdioSettings } from "./stdio_options.ts";
import { ChildOutput } from "./stdio_output.ts";
import type { OpenInit } from "./types.ts";
import { UpstreamError } from "./upstream_error.ts";

/** How many bytes a message may have. */
const MOST_BYTES = 16 * 1024 * 1024;

/** A child process of one session. */
export class StdioChannel implements Channel {
  onmessage: Channel["onmessage"];
  onclose: Channel["onclose"];
  readonly unlabelled = true;
  readonly #lines = new Lines({ maxBytes: MOST_BYTES });
  // A line that isn't UTF-8 is no message, and nothing is made up in its place.
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });
  readonly #output: ChildOutput;
  #child: Child | undefined;
  #isOver = false;

  private constructor(init: OpenInit) {
    this.#output = new ChildOutput(init);
  }

  /**
   * Starts the child.
   *
   * @throws {UpstreamError} If it can't be started
   */
  static async start(settings: StdioSettings, init: OpenInit): Promise<StdioChannel> {
    const channel = new StdioChannel(init);
    channel.#child = await Child.start({
      ...settings,
      clock: init.clock,
      onStdout: (chunk) => channel.#take(chunk),
      onStderr: (chunk) => channel.#output.push(chunk),
      onExit: (error) => channel.#end(error),
    });
    return channel;
  }

  send(message: Message): void {
    // JSON has no line feeds but those that it escapes.
    this.#child?.write(JSON.stringify(message));
  }

  async close(): Promise<void> {
    this.#isOver = true;
    await this.#child?.close();
  }

  #take(chunk: Uint8Array): void {
    if (this.#isOver) return;
    try {
      for (const line of this.#lines.push(chunk)) this.#takeLine(line);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.#end(new UpstreamError("protocol", { detail: "a line over 16 MiB" }));
    }
  }

  #takeLine(line: Uint8Array): void {
    const message = this.#parse(line);
    if (message !== undefined) this.onmessage?.(message);
    // Programs print all sorts of things.
    else this.#output.line(line);
  }

  #parse(line: Uint8Array): unknown {
    try {
      return JSON.parse(this.#decoder.decode(line));
    } catch {
      return undefined;
    }
  }

  #end(error: UpstreamError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.onclose?.(error);
  }
}
