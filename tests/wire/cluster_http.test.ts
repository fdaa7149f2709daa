/**
 * Sessions whose live state is in one process, which the others reach over HTTP.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { alice, Cluster, type TestNode } from "../support/cluster.ts";
import { settle } from "../support/settle.ts";
import {
  as,
  initialize,
  logData,
  type Peer,
  refused,
  soon,
  text,
  textOf,
} from "../support/wire.ts";

type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** Two nodes that reach each other over HTTP, and what travels between them. */
function pair(options: ConstructorParameters<typeof Cluster>[0] = {}) {
  const cluster = new Cluster({ pinned: true, ...options });
  const urls = new Map<string, TestNode>();
  const sent: { readonly url: string; readonly init: RequestInit }[] = [];
  const net: { fetch: Fetch } = {
    fetch: async (url, init) => {
      sent.push({ url, init });
      const node = urls.get(url) ?? assert.fail(url);
      const response = await node.handler(new Request(url, init));
      return response;
    },
  };
  const add = (url: string) => {
    const node = cluster.add({ cluster: { url, fetch: (url, init) => net.fetch(url, init) } });
    urls.set(url, node);
    return node;
  };
  const [a, b] = [add("http://10.0.0.1/mcp"), add("http://10.0.0.2/mcp")];
  return { cluster, a, b, urls, sent, net };
}

function calls({ stub }: TestNode): number {
  return stub.exchanges.filter(({ method }) => method === "tools/call").length;
}

async function holder(cluster: Cluster, { sessionId }: Peer): Promise<string> {
  return String(await cluster.store.inside.claims.holder(String(sessionId)));
}

const JSON_ONLY = { accept: "application/json" };
const NOTHING = { sessions: 0, streams: 0, requests: 0, questions: 0, listens: 0 };

describe("pinned, over HTTP", () => {
  test("[CLU-5] requests go to the URL of the node that holds the session, and nothing over the bus", async () => {
    const { cluster, a, b, sent } = pair();
    const { there } = await alice(a, b);
    assert.equal(textOf(await there.result(await there.call(1, "hello"))), "Hello");
    assert.deepEqual(a.stub.exchanges.at(-1)?.principal, { id: "alice" });
    assert.equal((await there.delete()).status, 204);
    await refused(await there.call(2, "hello"), 404, -32001);
    assert.deepEqual(sent.map(({ url }) => url), Array(2).fill("http://10.0.0.1/mcp"));
    assert.equal(cluster.store.texts.some(({ text }) => text.includes('"forward')), false);
    assert.doesNotMatch(String(sent.map(({ init }) => init.body)), /Bearer/);
    assert.deepEqual(b.handler.stats(), NOTHING);
    await cluster.close();
  });

  test("[CLU-5] responses carry nothing of how they came", async () => {
    const { cluster, a, b } = pair();
    const { here, there } = await alice(a, b);
    const names = (response: Response) => [...response.headers.keys()].toSorted();
    const near = await here.call(1, "hello");
    const far = await there.call(1, "hello");
    assert.deepEqual(names(far), names(near));
    await cluster.close();
  });

  test("[CLU-5] streams come as they are sent, and are resumed by either way", async () => {
    const { cluster, a, b } = pair();
    const { here, there } = await alice(a, b);
    const stream = there.frames(await there.call(1, "speak"));
    await stream.next();
    const one = await stream.messageFrame();
    assert.equal(logData(one?.message), 1);
    assert.equal(b.handler.stats().requests, 1);
    await stream.cancel();
    await settle();
    assert.deepEqual([a.handler.stats().streams, b.handler.stats().requests], [0, 0]);
    const again = await there.listen(one?.id);
    assert.equal(logData(await again.message()), 2);
    a.finish.open("done");
    assert.equal(logData(await again.message()), 3);
    assert.equal(textOf((await again.message())?.result), "done");
    assert.equal(await again.next(), undefined);
    assert.equal(b.handler.stats().streams, 0);
    await there.result(await there.call(2, "hello"));
    await here.delete();
    await cluster.close();
  });

  test("[CLU-5] a connection that is refused is tried again, then refused", async () => {
    for (
      const error of [
        Object.assign(new Error("connect"), { code: "ECONNREFUSED" }),
        Object.assign(new Error("Unable to connect"), { code: "ConnectionRefused" }),
        new TypeError(
          "error sending request: tcp connect error: Connection refused (os error 111)",
        ),
      ]
    ) {
      const { cluster, a, b, net } = pair();
      const { there } = await alice(a, b, JSON_ONLY);
      let tries = 0;
      net.fetch = () => {
        tries++;
        return Promise.reject(new TypeError("fetch failed", { cause: error }));
      };
      const call = there.call(1, "hello");
      await cluster.advance(250);
      await cluster.advance(250);
      await refused(await soon(call), 503, -32000, 1);
      assert.deepEqual([tries, calls(a), b.handler.stats().requests], [3, 0, 0]);
      await cluster.close();
    }
  });

  test("[CLU-5] a connection that breaks is not tried again: the tool may have run", async () => {
    const { cluster, a, b, net } = pair();
    const { there } = await alice(a, b, JSON_ONLY);
    const { fetch } = net;
    let tries = 0;
    net.fetch = async (url, init) => {
      tries++;
      await (await fetch(url, init)).body?.cancel();
      throw new TypeError("fetch failed", { cause: new Error("ECONNRESET") });
    };
    await refused(await there.call(1, "hello"), 504, -32603, 1);
    assert.deepEqual([tries, calls(a), b.handler.stats().requests], [1, 1, 0]);
    await cluster.close();
  });

  test("[CLU-5] an answer that isn't the node's own is no answer", async () => {
    const { cluster, a, b, net } = pair();
    const { there } = await alice(a, b, JSON_ONLY);
    const answers = [
      new Response("<h1>Bad gateway</h1>", { status: 502 }),
      new Response("{}", { headers: { "mooring-node": "somebody else" } }),
    ];
    for (const answer of answers) {
      net.fetch = () => Promise.resolve(answer);
      await refused(await there.call(1, "hello"), 504, -32603, 1);
    }
    assert.equal(b.handler.stats().requests, 0);
    await cluster.close();
  });

  test("[CLU-6] an envelope for another node, a forged or a replayed one does nothing", async () => {
    const { cluster, a, b, urls, sent } = pair();
    const { there } = await alice(a, b, JSON_ONLY);
    // What stands at the URL is another node by now.
    urls.set("http://10.0.0.1/mcp", b);
    const call = there.call(1, "hello");
    await cluster.advance(250);
    await cluster.advance(250);
    await refused(await soon(call), 503, -32000, 1);
    assert.deepEqual(
      b.events.of("message-ignored").map(({ reason }) => reason),
      Array(3).fill("misdirected"),
    );
    urls.set("http://10.0.0.1/mcp", a);
    await there.result(await there.call(2, "hello"));
    const { url, init } = sent.at(-1) ?? assert.fail();
    const body = String(init.body);
    for (const forged of [body, body.replace("hello", "block"), "", "x", "{}"]) {
      const response = await a.handler(new Request(url, { ...init, body: forged }));
      assert.equal(response.status, 403);
      assert.equal(await response.text(), "");
    }
    assert.equal(calls(a), 1);
    assert.deepEqual(a.events.of("message-ignored").map(({ reason }) => reason), [
      "replayed",
      "foreign",
      "malformed",
      "malformed",
      "malformed",
    ]);
    await cluster.close();
  });

  test("[CLU-6, GATE-6] a handler without a URL takes no envelopes", async () => {
    const cluster = new Cluster({ pinned: true });
    const node = cluster.add();
    const headers = { "content-type": "application/mooring-envelope" };
    const body = "x";
    const request = new Request("http://localhost/mcp", { method: "POST", headers, body });
    await refused(await node.handler(request), 415, -32000);
    await cluster.close();
  });

  test("[CLU-6, GATE-8] an envelope may be larger than a body, and is bounded", async () => {
    const { cluster, a, b, sent } = pair({ tools: { echo: () => text("heard") } });
    const { there } = await alice(a, b, JSON_ONLY);
    const value = "x".repeat(1024 * 1024 - 200);
    assert.equal(textOf(await there.result(await there.call(1, "echo", { value }))), "heard");
    const { url, init } = sent.at(-1) ?? assert.fail();
    const body = "x".repeat(3 * 1024 * 1024);
    const response = await a.handler(new Request(url, { ...init, body }));
    assert.equal(response.status, 403);
    await cluster.close();
  });

  test("[CLU-5, CLU-7] who waits for a dead node is told so, and streams break off", async () => {
    const { cluster, a, b, net } = pair();
    const { there } = await alice(a, b);
    const stream = there.frames(await there.call(1, "speak"));
    assert.equal(logData(await stream.message()), 1);
    assert.equal(logData(await stream.message()), 2);
    // A connection to a machine that has lost its power says nothing for long.
    net.fetch = (_url, { signal }) =>
      new Promise((_, reject) => {
        signal?.addEventListener("abort", () => reject(signal.reason));
      });
    const call = there.call(2, "hello", {}, JSON_ONLY);
    await settle();
    cluster.store.dead.add(await holder(cluster, there));
    const rest = stream.messages();
    await cluster.advance(40_000);
    await refused(await soon(call), 504, -32603, 2);
    assert.deepEqual(await rest, []);
    assert.equal(b.handler.stats().requests, 0);
    await cluster.close();
  });

  test("[CLU-5, END-1] a node that closes lets go of what it handed on, and clients come back elsewhere", async () => {
    const { cluster, a, b } = pair();
    const { there } = await alice(a, b);
    const stream = there.frames(await there.call(1, "speak"));
    assert.equal(logData(await stream.message()), 1);
    assert.equal(logData(await stream.message()), 2);
    await cluster.close([b]);
    assert.deepEqual((await stream.rest()).map(({ retry }) => retry), [1_000]);
    await settle();
    assert.equal(a.handler.stats().streams, 0);
    await cluster.close();
  });

  test("[CLU-5] nodes with a URL and nodes without work together", async () => {
    const { cluster, a, net } = pair();
    const c = cluster.add({ cluster: { fetch: (url, init) => net.fetch(url, init) } });
    const one = await initialize(c.handler, { headers: as("alice") });
    const there = one.with({ fetch: a.handler });
    await there.result(await there.call(1, "hello"));
    const two = await initialize(a.handler, { headers: as("alice") });
    assert.equal(calls(c), 1);
    const far = two.with({ fetch: c.handler });
    await far.result(await far.call(2, "hello"));
    assert.deepEqual([calls(a), calls(c)], [1, 1]);
    await cluster.close();
  });
});
