/**
 * A client of bare sockets, for what `fetch` can't say: half requests, two on one connection, silence.
 *
 * @module
 */
import { connect, type Socket } from "node:net";

/** How long anything may take to arrive, in milliseconds. */
const PATIENCE_MS = 5_000;

/** A connection that keeps everything it receives. */
export class RawConnection {
  readonly #socket: Socket;
  readonly #wakes = new Set<() => void>();
  /** Everything received so far. */
  text = "";
  /** Whether the connection has ended, by whomever. */
  closed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("utf8");
    socket.on("data", (chunk: string) => {
      this.text += chunk;
      this.#wake();
    });
    // A reset is an end like any other here.
    socket.on("error", () => {});
    socket.on("end", () => socket.end());
    socket.on("close", () => {
      this.closed = true;
      this.#wake();
    });
  }

  /** Connects. */
  static open(port: number, hostname = "127.0.0.1"): Promise<RawConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, hostname);
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        resolve(new RawConnection(socket));
      });
    });
  }

  /** Sends text or bytes, and resolves when the system has taken it. */
  write(text: string | Uint8Array): Promise<void> {
    return new Promise((resolve) => {
      this.#socket.write(text, () => resolve());
    });
  }

  /** Stops reading. */
  pause(): void {
    this.#socket.pause();
  }

  /** Goes on reading. */
  resume(): void {
    this.#socket.resume();
  }

  /** Waits until the received text matches. */
  async until(pattern: RegExp | string, ms = PATIENCE_MS): Promise<string> {
    const found = () =>
      typeof pattern === "string" ? this.text.includes(pattern) : pattern.test(this.text);
    await this.#wait(found, ms, `Nothing matched ${pattern}`);
    return this.text;
  }

  /** Waits until the connection has ended. */
  async untilClosed(ms = PATIENCE_MS): Promise<string> {
    await this.#wait(() => this.closed, ms, "The connection stayed open");
    return this.text;
  }

  /** Forgets what was received so far. */
  forget(): void {
    this.text = "";
  }

  /** Says that nothing more will be sent, and goes on reading. */
  end(): void {
    this.#socket.end();
  }

  /** Ends the connection at once. */
  destroy(): void {
    this.#socket.destroy();
  }

  async #wait(done: () => boolean, ms: number, complaint: string): Promise<void> {
    const deadline = Date.now() + ms;
    while (!done()) {
      const left = deadline - Date.now();
      if (left <= 0 || (this.closed && !done())) {
        throw new Error(`${complaint}, ${this.closed ? "closed" : "open"}, got: ${this.text}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(wake, left);
        const wakes = this.#wakes;
        function wake(): void {
          clearTimeout(timer);
          wakes.delete(wake);
          resolve();
        }
        wakes.add(wake);
      });
    }
  }

  #wake(): void {
    for (const wake of [...this.#wakes]) wake();
  }
}

/** The text of a request. Without `body` it has none. */
export function requestText(
  method: string,
  headers: Readonly<Record<string, string>> = {},
  body?: string,
): string {
  const all: Record<string, string> = { host: "localhost", ...headers };
  if (body !== undefined) {
    all["content-type"] ??= "application/json";
    all["accept"] ??= "application/json, text/event-stream";
    if (all["transfer-encoding"] === undefined) {
      all["content-length"] ??= String(new TextEncoder().encode(body).length);
    }
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} /mcp HTTP/1.1\r\n${lines.join("")}\r\n${body ?? ""}`;
}

/** One chunk of a body of unknown length. */
export function chunk(text: string): string {
  return `${new TextEncoder().encode(text).length.toString(16)}\r\n${text}\r\n`;
}

/** The text of a POST that calls a tool. */
export function callText(
  name: string,
  args: Readonly<Record<string, unknown>> = {},
  headers: Readonly<Record<string, string>> = {},
): string {
  return requestText("POST", headers, callBody(name, args));
}

/** The body of a POST that calls a tool. */
export function callBody(name: string, args: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({
    jsonrpc: "2.0",
    id: 1,
    method: "tools/call",
    params: { name, arguments: args },
  });
}
