/**
 * Workers in workerd, the runtime of Cloudflare Workers. The runtime that the tests run on is the client.
 *
 * @module
 */
import { after, before, describe, test } from "node:test";
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { bundle, type RunningWorker, startWorker, WORKERD } from "../../tools/workerd.ts";

const skip = existsSync(WORKERD) ? false : "No workerd for this machine: run `deno task test` once";
const MOST_TRIES = 600;

/** A client of one Worker, without a session until it begins one. */
class Client {
  readonly #worker: RunningWorker;
  readonly #user: string | undefined;
  session: string | undefined;

  constructor(worker: RunningWorker, user?: string) {
    this.#worker = worker;
    this.#user = user;
  }

  async send(method: string, headers: Record<string, string> = {}, body?: unknown) {
    return await fetch(`${this.#worker.origin}/mcp`, {
      method,
      headers: {
        accept: "application/json, text/event-stream",
        ...body !== undefined && { "content-type": "application/json" },
        ...this.#user !== undefined && { authorization: this.#user },
        ...this.session !== undefined && { "mcp-session-id": this.session },
        ...headers,
      },
      ...body !== undefined && { body: JSON.stringify(body) },
    });
  }

  post(body: object): Promise<Response> {
    return this.send("POST", {}, { jsonrpc: "2.0", ...body });
  }

  call(id: number, name: string, args: object = {}): Promise<Response> {
    return this.post({ id, method: "tools/call", params: { name, arguments: args } });
  }

  async begin(capabilities: object = {}): Promise<this> {
    await this.initialize(capabilities);
    const initialized = await this.post({ method: "notifications/initialized" });
    assert.equal(initialized.status, 202);
    return this;
  }

  async initialize(capabilities: object = {}): Promise<this> {
    const clientInfo = { name: "test", version: "1.0.0" };
    const params = { protocolVersion: "2025-11-25", capabilities, clientInfo };
    const response = await this.post({ id: 0, method: "initialize", params });
    assert.equal(response.status, 200, await response.clone().text());
    this.session = response.headers.get("mcp-session-id") ?? undefined;
    await response.body?.cancel();
    return this;
  }

  /** What the Worker has seen, once it has seen something. */
  async seen(event: string): Promise<readonly string[]> {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const response = await fetch(`${this.#worker.origin}/seen`);
      const { seen }: { seen: string[] } = await response.json();
      if (seen.includes(event)) return seen;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`Nothing of "${event}" was seen`);
  }
}

/** The events of a stream, one at a time. */
class Events {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #decoder = new TextDecoder();
  #text = "";

  constructor({ status, body, headers }: Response) {
    assert.equal(status, 200);
    assert.match(headers.get("content-type") ?? "", /^text\/event-stream/);
    assert.ok(body);
    this.#reader = body.getReader();
  }

  /** The id and the message of the next event with either; `undefined` at the end. */
  async next(): Promise<{ readonly id?: string; readonly message?: Message } | undefined> {
    for (;;) {
      const end = this.#text.indexOf("\n\n");
      if (end === -1) {
        const { done, value } = await this.#reader.read();
        if (done) return undefined;
        this.#text += this.#decoder.decode(value, { stream: true });
        continue;
      }
      const lines = this.#text.slice(0, end).split("\n");
      this.#text = this.#text.slice(end + 2);
      const field = (name: string) =>
        lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const [id, data] = [field("id"), field("data")];
      if (id !== undefined || data) {
        return { ...id !== undefined && { id }, ...data && { message: JSON.parse(data) } };
      }
    }
  }

  /** The next message. */
  async message(): Promise<Message> {
    for (let event = await this.next(); event !== undefined; event = await this.next()) {
      if (event.message !== undefined) return event.message;
    }
    throw new Error("The stream has ended");
  }

  close(): Promise<void> {
    return this.#reader.cancel();
  }
}

interface Message {
  readonly id?: string | number;
  readonly method?: string;
  readonly result?: { readonly content: readonly { readonly text: string }[] };
  readonly error?: { readonly code: number; readonly message: string };
}

async function textOf(response: Response): Promise<string | undefined> {
  const { result }: Message = await response.json();
  return result?.content[0]?.text;
}

/** Tests what Workers of both kinds do alike. */
function requestsMeet(client: () => Client): void {
  test("[WRK-2] a cancellation in another request stops the call in its own context", async () => {
    const one = await client().begin();
    const events = new Events(await one.call(1, "fetch"));
    await one.seen("reading");
    const params = { requestId: 1, reason: "changed my mind" };
    const cancelled = await one.post({ method: "notifications/cancelled", params });
    assert.equal(cancelled.status, 202);
    const seen = await one.seen("cancelled its reader");
    assert.deepEqual(seen.filter((event) => event.startsWith("failed")), []);
    while (await events.next() !== undefined);
  });

  test("[WRK-2] a reply in another request reaches the question", async () => {
    const one = await client().begin({ elicitation: {} });
    const events = new Events(await one.call(1, "ask"));
    const question = await events.message();
    assert.equal(question.method, "elicitation/create");
    const result = { action: "accept", content: { name: "Ada" } };
    assert.equal((await one.post({ id: question.id, result })).status, 202);
    assert.equal((await events.message()).result?.content[0]?.text, "Hello, Ada!");
  });

  test("[WRK-2] notifications of another request reach the open stream", async () => {
    const one = await client().begin();
    const subscribed = await one.post({
      id: 1,
      method: "resources/subscribe",
      params: { uri: "test://news" },
    });
    assert.equal(subscribed.status, 200);
    const events = new Events(await one.send("GET"));
    assert.equal(await textOf(await one.call(2, "grow")), "Grown");
    assert.equal((await events.message()).method, "notifications/tools/list_changed");
    assert.equal(await textOf(await one.call(3, "publish")), "Published");
    assert.equal((await events.message()).method, "notifications/resources/updated");
    await events.close();
  });

  test("[WRK-2] deleting a session ends its streams and calls in other requests", async () => {
    const one = await client().begin();
    const events = new Events(await one.send("GET"));
    const running = new Events(await one.call(1, "wait", { ms: 60_000 }));
    assert.equal((await one.send("DELETE")).status, 204);
    while (await events.next() !== undefined);
    while (await running.next() !== undefined);
    assert.equal((await one.call(2, "add", { a: 1, b: 2 })).status, 404);
  });

  test("[WRK-2] a call outlasts one that began before it, and becomes a stream", async () => {
    const one = await client().begin();
    const [first, second] = await Promise.all([
      one.call(1, "wait", { ms: 150 }),
      one.call(2, "wait", { ms: 700 }),
    ]);
    for (const response of [first, second]) {
      assert.equal((await new Events(response).message()).result?.content[0]?.text, "Waited");
    }
    const third = new Events(await one.call(3, "wait", { ms: 300 }));
    assert.equal((await third.message()).result?.content[0]?.text, "Waited");
  });
}

describe("a handler at module scope of a Worker", { skip }, () => {
  let worker: RunningWorker;
  before(async () => {
    worker = await startWorker(await bundle("tests/fixtures/workers/plain.ts"));
  });
  after(() => worker?.stop());

  test("[WRK-1] is made before the first request, and answers it", async () => {
    const one = await new Client(worker).begin();
    assert.equal(await textOf(await one.call(1, "add", { a: 1, b: 2 })), "3");
  });

  requestsMeet(() => new Client(worker));

  test("[WRK-2] a client that disconnects leaves nothing behind", async () => {
    const one = await new Client(worker).begin();
    const events = new Events(await one.call(1, "wait", { ms: 600_000 }));
    await events.close();
    await one.seen("disconnected");
    const { stats } = await (await fetch(`${worker.origin}/seen`)).json();
    assert.deepEqual([stats.requests, stats.questions], [0, 0]);
  });

  test("no request has failed", () => {
    assert.doesNotMatch(worker.output(), /different request|uncaught|hung/i);
  });
});

describe("a Worker with sessions in Durable Objects", { skip }, () => {
  let script: string;
  let worker: RunningWorker;
  const client = (user = "ada") => new Client(worker, user);
  before(async () => {
    script = await bundle("tests/fixtures/workers/sessions.ts");
    worker = await startWorker(script, { sessions: "McpSession" });
  });
  after(() => worker?.stop());

  requestsMeet(client);

  test("[WRK-3] a session outlives the process, with its state, owner and subscriptions", async () => {
    const one = await client().begin();
    assert.equal(await textOf(await one.call(1, "count")), "1");
    const params = { uri: "test://news" };
    await one.post({ id: 2, method: "resources/subscribe", params });
    await worker.restart();
    assert.equal(await textOf(await one.call(3, "count")), "2");
    const stranger = client("eve");
    stranger.session = one.session;
    assert.equal((await stranger.call(4, "count")).status, 404);
    const events = new Events(await one.send("GET"));
    assert.equal(await textOf(await one.call(5, "publish")), "Published");
    assert.equal((await events.message()).method, "notifications/resources/updated");
    await events.close();
  });

  test("[WRK-3] what was sent without a reader is there after the process", async () => {
    const one = await client().begin();
    const told = await fetch(`${worker.origin}/notify?session=${one.session}`);
    assert.equal(await told.json(), true);
    await worker.restart();
    const events = new Events(await one.send("GET"));
    assert.equal((await events.message()).method, "notifications/message");
    await events.close();
  });

  test("[WRK-3] a call runs on without its client, who resumes", async () => {
    const one = await client().begin();
    const events = new Events(await one.call(1, "wait", { ms: 1_000 }));
    const priming = await events.next();
    await events.close();
    const resumed = new Events(await one.send("GET", { "last-event-id": priming?.id ?? "" }));
    assert.equal((await resumed.message()).result?.content[0]?.text, "Waited");
    assert.equal(await resumed.next(), undefined);
  });

  test("[WRK-6] a call that the process took with it is answered once", async () => {
    const one = await client().begin();
    const events = new Events(await one.call(7, "wait", { ms: 600_000 }));
    const priming = await events.next();
    await worker.restart();
    const resumed = new Events(await one.send("GET", { "last-event-id": priming?.id ?? "" }));
    const { id, error } = await resumed.message();
    assert.equal(id, 7);
    assert.match(error?.message ?? "", /restarted/);
    assert.equal(await resumed.next(), undefined);
  });

  test("[WRK-5] a foreign, an ended and an invented session look the same", async () => {
    const one = await client().begin();
    const ended = await client().begin();
    assert.equal(await (await fetch(`${worker.origin}/end?session=${ended.session}`)).json(), true);
    const stranger = client("eve");
    const answers: unknown[] = [];
    const ids = [one.session, ended.session, "A".repeat(32), "x", one.session?.replace(/.$/, "~")];
    for (const session of ids) {
      stranger.session = session;
      for (
        const [verb, body] of [["POST", { jsonrpc: "2.0", id: 1, method: "ping" }], ["GET"], [
          "DELETE",
        ]] as const
      ) {
        const response = await stranger.send(verb, {}, body);
        const headers = [...response.headers].filter(([name]) => name !== "date");
        answers.push([verb, response.status, await response.text(), headers]);
      }
    }
    for (let i = 3; i < answers.length; i++) assert.deepEqual(answers[i], answers[i % 3]);
    assert.equal((answers[0] as unknown[])[1], 404);
  });

  test("[WRK-5] an invented id starts no object", async () => {
    const objects = async () => (await (await fetch(`${worker.origin}/seen`)).json()).objects;
    const before = await objects();
    const one = client();
    for (const id of ["B".repeat(32), "-".repeat(32)]) {
      one.session = id;
      assert.equal((await one.call(1, "count")).status, 404);
    }
    one.session = undefined;
    assert.equal((await one.call(1, "count")).status, 400);
    assert.equal((await new Client(worker).call(1, "count")).status, 401);
    assert.equal(await objects(), before);
    await one.begin();
    assert.equal(await objects(), before + 1);
  });

  test("[WRK-5] a client can't pass for another with headers of the Worker's own", async () => {
    const one = await client().begin();
    const forged = {
      "mooring-principal": encodeURIComponent(JSON.stringify({ id: "admin" })),
      "mooring-operation": "end",
      "mooring-session": "C".repeat(32),
    };
    const params = { name: "who", arguments: {} };
    const response = await one.send("POST", forged, {
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params,
    });
    const { result } = await response.json();
    assert.deepEqual(result.structuredContent, { id: "ada", session: true, headers: [] });
  });

  test("[WRK-3] a 2026 client is answered without a session", async () => {
    const _meta = {
      "io.modelcontextprotocol/protocolVersion": "2026-07-28",
      "io.modelcontextprotocol/clientCapabilities": {},
    };
    const response = await client().send("POST", {
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": "tools/call",
      "mcp-name": "who",
    }, {
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: { name: "who", arguments: {}, _meta },
    });
    assert.equal(response.status, 200, await response.clone().text());
    const { result } = await response.json();
    assert.deepEqual(result.structuredContent, { id: "ada", session: false, headers: [] });
  });

  test("[WRK-4] an idle session is ended by its alarm, and nothing of it is left", async () => {
    const brief = await startWorker(script, {
      sessions: "McpSession",
      vars: { IDLE_MS: "300" },
    });
    try {
      const one = await new Client(brief, "ada").initialize();
      await one.seen("ended: idle");
      assert.equal((await one.call(1, "count")).status, 404);
    } finally {
      await brief.stop();
    }
  });

  test("no request has failed", async () => {
    assert.doesNotMatch(worker.output(), /different request|uncaught|hung/i);
    const { seen } = await (await fetch(`${worker.origin}/seen`)).json();
    assert.deepEqual(seen.filter((event: string) => event.startsWith("error")), []);
  });
});
