/**
 * What clients see of a cluster: one address, behind which each request goes to the next node.
 *
 * @module
 */
import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  request as httpRequest,
  type Server,
  type ServerResponse,
} from "node:http";

/** Tells a request that a client sends from one that is sent again without its knowing. */
export const SENT_HEADER = "x-sent";

/** Where a request may go. */
export interface Target {
  readonly port: number;
}

/** A proxy that takes turns. What has begun goes to one node and no other. */
export class Front {
  /** The nodes, in turn. */
  targets: readonly Target[];
  /** How many requests each port got. */
  readonly passed = new Map<number, number>();
  readonly #server: Server;
  readonly #open = new Set<ServerResponse>();
  readonly #seen = new Set<string>();
  #turn = 0;

  private constructor(targets: readonly Target[]) {
    this.targets = targets;
    this.#server = createServer((near, answer) => this.#pass(near, answer));
  }

  /** Puts a proxy in front of nodes. */
  static async before(targets: readonly Target[]): Promise<Front> {
    const front = new Front(targets);
    front.#server.listen(0, "127.0.0.1");
    await once(front.#server, "listening");
    return front;
  }

  /** Where clients connect to. */
  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("The proxy has no port");
    return `http://127.0.0.1:${address.port}/mcp`;
  }

  /** Breaks what is open, as a lost network does. */
  cut(): void {
    for (const answer of this.#open) answer.destroy();
  }

  /** Ends it. */
  async close(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
    this.cut();
    await once(this.#server, "close");
  }

  #pass(near: IncomingMessage, answer: ServerResponse): void {
    this.#open.add(answer);
    const id = near.headers[SENT_HEADER];
    // Deno's fetch sends a request again whose connection broke, also a POST: that is its own doing.
    if (typeof id === "string" && this.#seen.has(id)) return void answer.destroy();
    if (typeof id === "string") this.#seen.add(id);
    answer.on("close", () => this.#open.delete(answer));
    answer.on("error", () => {});
    const body: Uint8Array[] = [];
    near.on("data", (bytes: Uint8Array) => body.push(bytes));
    near.on("end", () => this.#send(near, answer, body, this.targets.length));
  }

  #send(near: IncomingMessage, answer: ServerResponse, body: Uint8Array[], tries: number): void {
    const target = this.targets[this.#turn++ % this.targets.length];
    if (target === undefined) return void answer.writeHead(502).end();
    const { port } = target;
    const {
      connection: _,
      host: __,
      "content-length": ___,
      "transfer-encoding": ____,
      ...headers
    } = near.headers;
    const whole = Buffer.concat(body);
    if (whole.length > 0) headers["content-length"] = String(whole.length);
    const init = { host: "127.0.0.1", port, path: near.url, method: near.method, headers };
    const far = httpRequest({ ...init, agent: false }, (response) => {
      this.passed.set(port, (this.passed.get(port) ?? 0) + 1);
      const { connection: _, "transfer-encoding": __, "keep-alive": ___, ...kept } =
        response.headers;
      answer.writeHead(response.statusCode ?? 502, kept);
      answer.flushHeaders();
      response.on("data", (bytes) => answer.write(bytes));
      response.on("end", () => answer.end());
      // Whoever reads must not take what broke off for whole.
      response.on("error", () => answer.destroy());
      response.on("aborted", () => answer.destroy());
    });
    far.on("error", (error: Error & { code?: string }) => {
      // Nobody was there, so nobody has got it.
      const refused = error.code === "ECONNREFUSED" || error.code === "ConnectionRefused";
      if (refused && tries > 1) return this.#send(near, answer, body, tries - 1);
      if (answer.headersSent) answer.destroy();
      else answer.writeHead(502).end();
    });
    answer.on("close", () => far.destroy());
    far.end(whole);
  }
}
