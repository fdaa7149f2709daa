/**
 * HTTP between simulated processes: requests and the parts of responses travel, connections break, and
 * servers are away.
 *
 * @module
 */
import type { Environment, Random } from "./environment.ts";
import type { SimulatedProcess } from "./process.ts";

/** A server that nodes reach over HTTP. */
export interface WebServer {
  readonly name: string;
  /** The process that answers; `undefined` while there is none. */
  readonly process: SimulatedProcess | undefined;
  /** Answers a request. */
  answer(request: Request, exchange: WebExchange): Promise<Response>;
}

/** How requests travel. */
export interface WebInit {
  readonly environment: Environment;
  readonly random: Random;
  /** The longest time that a packet travels, in milliseconds. */
  readonly delayMs: number;
}

/** A request and its response, on one connection. */
export class WebExchange {
  readonly client: SimulatedProcess;
  readonly server: WebServer;
  readonly #init: WebInit;
  readonly #over: () => void;
  readonly #gone = new AbortController();
  readonly response: Promise<Response>;
  #resolve: (response: Response) => void = () => {};
  #reject: (error: unknown) => void = () => {};
  #body: ReadableStreamDefaultController<Uint8Array> | undefined;
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  /** When the last packet to the client arrives. */
  #last = 0;
  #ended = false;
  /** Whether the client may not have got the whole response. */
  broken = false;

  constructor(client: SimulatedProcess, server: WebServer, init: WebInit, over: () => void) {
    this.client = client;
    this.server = server;
    this.#init = init;
    this.#over = over;
    this.response = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  #trip(): number {
    return this.#init.random.int(1, this.#init.delayMs);
  }

  /** Calls back at the client, after all that was sent to it before. */
  #toClient(callback: () => void): void {
    const { environment } = this.#init;
    this.#last = Math.max(environment.now + this.#trip(), this.#last);
    environment.after(this.#last - environment.now, () => this.client.run(callback));
  }

  begin(url: string, init: RequestInit): void {
    const { environment } = this.#init;
    const { signal, ...rest } = init;
    const stopDeath = this.client.onDeath(() => this.#leave());
    const abort = () => {
      this.#leave();
      this.#fail(signal?.reason);
    };
    signal?.addEventListener("abort", abort, { once: true });
    this.#finish = () => {
      stopDeath();
      signal?.removeEventListener("abort", abort);
    };
    environment.after(this.#trip(), () => {
      if (this.#ended) return;
      const { process } = this.server;
      if (process === undefined || process.dead) return this.break("ECONNREFUSED");
      const stop = process.onDeath(() => this.break());
      const finish = this.#finish;
      this.#finish = () => {
        finish();
        stop();
      };
      process.run(() => {
        if (this.#ended) return;
        const request = new Request(url, { ...rest, signal: this.#gone.signal });
        this.server.answer(request, this).then(
          (response) => this.#answer(response, process),
          () => {
            this.break();
          },
        );
      });
    });
  }

  #finish: () => void = () => {};

  #answer(response: Response, process: SimulatedProcess): void {
    if (this.#ended || process.dead) return void response.body?.cancel().catch(() => {});
    const { status, headers, body } = response;
    const own = body === null ? null : new ReadableStream<Uint8Array>({
      start: (controller) => void (this.#body = controller),
      cancel: () => {
        this.#body = undefined;
        this.#leave();
      },
    }, { highWaterMark: 0 });
    this.#toClient(() => this.#resolve(new Response(own, { status, headers })));
    if (body === null) return this.#toClient(() => this.#end());
    const reader = this.#reader = body.getReader();
    void this.#pump(reader, process);
  }

  async #pump(reader: ReadableStreamDefaultReader<Uint8Array>, process: SimulatedProcess) {
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (this.#ended || process.dead) return;
        if (done) break;
        this.#toClient(() => this.#body?.enqueue(value));
      }
      this.#toClient(() => {
        this.#body?.close();
        this.#body = undefined;
        this.#end();
      });
    } catch {
      this.break();
    }
  }

  /** The client goes away: the server learns of it. */
  #leave(): void {
    if (this.#ended) return;
    this.broken = true;
    this.#end();
    this.#body = undefined;
    this.#init.environment.after(this.#trip(), () => this.#drop());
  }

  #drop(): void {
    const { process } = this.server;
    if (process === undefined || process.dead) return;
    process.run(() => {
      this.#gone.abort(new DOMException("The client has gone", "AbortError"));
      void this.#reader?.cancel().catch(() => {});
    });
  }

  #fail(reason: unknown): void {
    this.#reject(reason);
    const body = this.#body;
    this.#body = undefined;
    body?.error(reason);
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#finish();
    this.#over();
  }

  /** The connection breaks. */
  break(code = "ECONNRESET"): void {
    if (this.#ended) return;
    this.broken = true;
    this.#end();
    this.#toClient(() => this.#fail(new TypeError("fetch failed", { cause: { code } })));
    this.#drop();
  }
}

/** All connections between nodes and servers. */
export class SimulatedWeb {
  readonly #init: WebInit;
  readonly #open = new Set<WebExchange>();

  constructor(init: WebInit) {
    this.#init = init;
  }

  /** Sends a request of a node to a server. */
  fetch(
    client: SimulatedProcess,
    server: WebServer,
    url: string,
    init: RequestInit,
  ): Promise<Response> {
    // What a dead process would have sent is not sent.
    if (client.dead) return new Promise(() => {});
    if (init.signal?.aborted) return Promise.reject(init.signal.reason);
    const exchange = new WebExchange(client, server, this.#init, () => {
      this.#open.delete(exchange);
    });
    this.#open.add(exchange);
    exchange.begin(url, init);
    return exchange.response;
  }

  /** Breaks the connections to a server; those of one node if it is given. */
  cut(server: WebServer, client?: SimulatedProcess): void {
    for (const exchange of [...this.#open]) {
      const isOne = exchange.server === server && (client ?? exchange.client) === exchange.client;
      if (isOne) exchange.break();
    }
  }

  /** The requests that are on their way, or are being answered. */
  get size(): number {
    return this.#open.size;
  }
}
