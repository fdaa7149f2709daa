/**
 * HTTP connections that cost whoever sends as little as possible.
 *
 * @module
 */
import { connect, type Socket } from "node:net";

const END_OF_CHUNKS = "\r\n0\r\n\r\n";
const NO_CONTENT = "HTTP/1.1 204";

/** A connection that stays open, for one request at a time. Servers close those that are idle. */
export class Connection {
  readonly #port: number;
  readonly #next: () => string;
  #socket: Socket;
  #received = "";
  #answered: ((text: string) => void) | undefined;
  #failed: ((error: Error) => void) | undefined;
  #over: Error | undefined;

  /** @param next Returns the next request, head and body */
  constructor(port: number, next: () => string) {
    this.#port = port;
    this.#next = next;
    this.#socket = this.#connect();
  }

  #connect(): Socket {
    const socket = connect({ host: "127.0.0.1", port: this.#port, noDelay: true });
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => this.#receive(text));
    socket.on("error", (error) => this.#end(error));
    socket.on("close", () => this.#end(new Error("The server closed a connection")));
    return socket;
  }

  /** Connects again if the server has closed the connection. */
  renew(): void {
    if (this.#over === undefined) return;
    this.#over = undefined;
    this.#failed = undefined;
    this.#received = "";
    this.#socket = this.#connect();
  }

  /** Whether the connection has ended. */
  get closed(): boolean {
    return this.#over !== undefined;
  }

  /** Sends the next request and waits for the whole answer, head and body. */
  ask(): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#answered = resolve;
      this.#failed = reject;
      if (this.#over !== undefined) reject(this.#over);
      this.#socket.write(this.#next());
    });
  }

  #end(error: Error): void {
    this.#over ??= error;
    this.#failed?.(this.#over);
  }

  #receive(text: string): void {
    this.#received = this.#received === "" ? text : this.#received + text;
    const received = this.#received;
    const head = received.indexOf("\r\n\r\n");
    if (head === -1) return;
    const length = /\r\ncontent-length: *(\d+)/i.exec(received.slice(0, head));
    const whole = length === null
      ? received.endsWith(END_OF_CHUNKS) || received.startsWith(NO_CONTENT)
      : received.length >= head + 4 + Number(length[1]);
    if (!whole) return;
    this.#received = "";
    this.#answered?.(received);
  }
}

/** The body of an answer. */
export function bodyOf(answer: string): string {
  const body = answer.slice(answer.indexOf("\r\n\r\n") + 4);
  return answer.endsWith(END_OF_CHUNKS) ? joined(body) : body;
}

/** The body that came in chunks, each with its length in front. */
function joined(chunks: string): string {
  let body = "";
  let rest = chunks;
  for (let length = -1; length !== 0;) {
    const begin = rest.indexOf("\r\n") + 2;
    length = Number.parseInt(rest, 16);
    body += rest.slice(begin, begin + length);
    rest = rest.slice(begin + length + 2);
  }
  return body;
}

/** Sends a request to a server that listens on loopback. */
export async function forward(request: Request, port: number, path = "/mcp"): Promise<Response> {
  const headers = new Headers(request.headers);
  for (const name of ["host", "content-length"]) headers.delete(name);
  const { method } = request;
  return await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers,
    body: await request.text(),
  });
}
