/**
 * The network between one node and Redis: it can be cut, be quiet, and be slow.
 *
 * @module
 */
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

/** A line to a server, which carries everything in order. */
export class Line {
  /** How long everything takes each way, in milliseconds. */
  delayMs = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #port: number;
  #cut = false;
  /** Settles when what is held back may go on. */
  #gate: PromiseWithResolvers<void> | undefined;

  private constructor(port: number) {
    this.#port = port;
    this.#server = createServer({ allowHalfOpen: false }, (near) => {
      if (this.#cut) return void near.destroy();
      const far = connect({ host: "127.0.0.1", port: this.#port });
      this.#carry(near, far);
      this.#carry(far, near);
    });
  }

  /** Lays a line to a port of this machine. */
  static async to(port: number): Promise<Line> {
    const line = new Line(port);
    line.#server.listen(0, "127.0.0.1");
    await once(line.#server, "listening");
    return line;
  }

  /** Where the line begins. */
  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("The line has no port");
    return address.port;
  }

  /** Breaks all connections, and lets none be made. */
  cut(): void {
    this.#cut = true;
    this.#break();
  }

  /** Breaks all connections. The next ones lead to another port. */
  redirect(port: number): void {
    this.#port = port;
    this.#break();
  }

  /** Carries nothing more, without breaking anything. */
  stall(): void {
    this.#gate ??= Promise.withResolvers();
  }

  /** Carries everything again, also what was held back. */
  mend(): void {
    this.#cut = false;
    this.#gate?.resolve();
    this.#gate = undefined;
  }

  /** Takes the line down. */
  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, "close");
  }

  #break(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #carry(from: Socket, to: Socket): void {
    this.#sockets.add(from);
    from.on("error", () => to.destroy());
    from.on("close", () => {
      this.#sockets.delete(from);
      to.destroy();
    });
    let last = Promise.resolve();
    from.on("data", (bytes: Uint8Array) => {
      const due = performance.now() + this.delayMs;
      // Behind what came before, whatever each of them waits for.
      last = last.then(async () => {
        const ms = due - performance.now();
        if (ms > 0) await pause(ms);
        while (this.#gate !== undefined) await this.#gate.promise;
        if (!to.destroyed) to.write(bytes);
      });
    });
  }
}
