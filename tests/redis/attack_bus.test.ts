/**
 * Programs that read and write the channels and keys of nodes, but have no key of theirs: they read nothing
 * of what nodes tell each other, and no node does what they say.
 */
import { after, before, describe, test } from "node:test";
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Redis } from "ioredis";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandler } from "../../src/handler/types.ts";
import type { MessageProblem } from "../../src/protocol/events.ts";
import type { SharedDocumentHandle } from "../../src/protocol/exchange.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { Keys } from "../../src/redis/keys.ts";
import { redisStore } from "../../src/redis/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { PinnedStub } from "../support/cluster.ts";
import { readEnvelope } from "../support/envelope.ts";
import { ModernPeer } from "../support/modern.ts";
import { connectIoRedis, noBinary, OwnServer, type TestClient } from "../support/redis.ts";
import { until } from "../support/redis_fleet.ts";
import { settle } from "../support/settle.ts";
import {
  as,
  Blocker,
  byToken,
  Events,
  initialize,
  isPending,
  logMessage,
  type Peer,
  soon,
  Stub,
  text,
  textOf,
} from "../support/wire.ts";
import { readContents } from "./contents.ts";

const KEY = "0123456789abcdef0123456789abcdef";
/** What is in everything that must be kept secret. */
const MARK = "hushmark";
const ALICE = as(`alice_${MARK}`);
const JSON_ONLY = { accept: "application/json" };
const CHANGED = "notifications/tools/list_changed";

/** One handler, and what reached it. */
interface Node {
  readonly prefix: string;
  readonly handler: McpHandler;
  readonly stub: Stub;
  readonly events: Events;
  readonly blocker: Blocker;
  /** The document that it applied, version by version. */
  readonly applied: JsonObject[];
  /** What dispatchers at other nodes sent to its own. */
  readonly received: JsonObject[];
  readonly document: SharedDocumentHandle;
}

/** A message as it was published. */
interface Published {
  readonly channel: string;
  /** The sender and the number by which members of the bus tell messages apart. */
  readonly member: string;
  readonly envelope: string;
  /** What a node with the key reads. */
  readonly opened: JsonObject;
}

/** What is read from the base64 in a text, wherever it begins. */
function decoded(text: string): string {
  return [0, 1, 2, 3].map((from) => Buffer.from(text.slice(from), "base64").toString("latin1"))
    .join();
}

describe("programs on the channels of nodes", { skip: noBinary }, () => {
  const clock = new FakeClock();
  let redis: OwnServer;
  let connection: TestClient;
  let reader: Redis;
  /** Everything that was published, by whomever. */
  const heard: { readonly channel: string; readonly text: string }[] = [];
  const nodes: Node[] = [];
  const sessions: string[] = [];
  let forged = 0;

  const add = (prefix: "shared" | "pinned"): Node => {
    const events = new Events();
    const blocker = new Blocker();
    const make = prefix === "pinned" ? PinnedStub : Stub;
    const stub = new make(
      {
        hello: () => text(`Hello ${MARK}`),
        block(exchange) {
          exchange.notify(logMessage(`begun ${MARK}`));
          return blocker.act(exchange);
        },
        async work(exchange) {
          for (const n of [1, 2, 3]) exchange.notify(logMessage(`progress ${n} ${MARK}`));
          await exchange.session?.state.set("key", MARK);
          return text(`result ${MARK}`);
        },
        ask: async (exchange) =>
          text(JSON.stringify(
            await exchange.ask("elicitation/create", {
              message: `question ${MARK}`,
              requestedSchema: { type: "object", properties: { word: { type: "string" } } },
            }),
          )),
      },
      {},
      [CHANGED],
    );
    const handler = createMcpHandler(stub, {
      clock,
      store: redisStore({ client: connection.client, prefix }),
      authenticate: byToken,
      onEvent: events.onEvent,
      requests: { stateKeys: [KEY] },
    });
    const applied: JsonObject[] = [];
    const received: JsonObject[] = [];
    const document = stub.host?.openDocument?.("settings", (value) => void applied.push(value)) ??
      assert.fail();
    stub.host?.peers?.receive((value) => received.push(value));
    const node = { prefix, handler, stub, events, blocker, applied, received, document };
    nodes.push(node);
    return node;
  };

  const quiet = async () => {
    for (let i = 0; i < 2; i++) {
      await settle();
      await connection.settle();
    }
    await settle();
  };

  const advance = async (ms: number) => {
    for (let left = ms; left > 0; left -= 1_000) {
      await clock.advance(Math.min(left, 1_000));
      await quiet();
    }
  };

  const client = async (at: Node): Promise<Peer> => {
    const peer = await initialize(at.handler, {
      headers: { ...ALICE, "x-secret": `header-${MARK}` },
      capabilities: { elicitation: {} },
    });
    sessions.push(peer.sessionId ?? assert.fail());
    return peer;
  };

  const ids = () => nodes.map(({ stub }) => stub.host?.peers?.node ?? assert.fail());

  /** The messages between nodes. */
  const published = (): Published[] =>
    heard.flatMap(({ channel, text }) => {
      const [, member = "", envelope = ""] = /^([^\n]*)\n\d+\n([^]*)$/.exec(text) ?? [];
      const opened = readEnvelope(KEY, envelope);
      return channel.includes("{nodes}") && opened !== envelope
        ? [{ channel, member, envelope, opened: JSON.parse(opened) }]
        : [];
    });

  /** Publishes as a member of the bus, and returns why nodes ignored it. */
  const attack = async (
    channel: string,
    envelope: string,
    head = `mallory/00000000\n${++forged}`,
  ): Promise<readonly MessageProblem[]> => {
    const before = nodes.map(({ events }) => events.of("message-ignored").length);
    const reasons = () =>
      nodes.flatMap(({ events }, n) => events.of("message-ignored").slice(before[n]))
        .map(({ reason }) => reason);
    // One of those who heard it is this test.
    const count = Number(await connection.send("PUBLISH", channel, `${head}\n${envelope}`)) - 1;
    await until(() => reasons().length >= count, `an event for ${envelope.slice(0, 80)}`);
    await quiet();
    assert.equal(reasons().length, count);
    return reasons();
  };

  /** What nodes have done, and must not do again. */
  const done = () =>
    nodes.map(({ stub, blocker, applied, received }) => [
      stub.exchanges.length,
      stub.notifications.length,
      stub.ended.length,
      blocker.reasons.length,
      applied.length,
      received.length,
    ]);

  /** A call, a question, a cancellation, a document and an end: everything still works. */
  const works = async (here: Node, there: Node) => {
    const peer = await client(here);
    const other = peer.with({ fetch: there.handler });
    assert.equal(textOf(await other.result(await other.call(1, "work"))), `result ${MARK}`);
    const frames = peer.frames(await peer.call(2, "ask", { word: MARK }));
    const question = await frames.message();
    await other.reply(question?.id, { action: "accept", content: { word: `answer ${MARK}` } });
    assert.match(JSON.stringify(await frames.messages()), /answer hushmark/);
    const stopped = here.blocker.reasons.length;
    const call = peer.frames(await peer.call(3, "block"));
    await call.message();
    await other.cancel(3, `reason ${MARK}`);
    await until(() => here.blocker.reasons.length > stopped, "the cancellation");
    await call.rest();
    const secret = `document ${MARK} ${here.applied.length}`;
    assert.ok(await here.document.put({ secret }));
    await until(() => there.applied.at(-1)?.secret === secret, "the document");
    assert.equal((await other.delete()).status, 204);
    await until(async () => (await peer.call(4, "hello")).status === 404, "the end");
  };

  before(async () => {
    redis = await OwnServer.start();
    connection = await connectIoRedis(redis.url);
    reader = new Redis(redis.url);
    await reader.psubscribe("*");
    reader.on("pmessage", (_pattern, channel, text) => heard.push({ channel, text }));
    for (const prefix of ["shared", "shared", "shared", "pinned", "pinned"] as const) add(prefix);
    await quiet();
  });

  after(async () => {
    const closed = Promise.all(nodes.map(({ handler }) => handler.close({ graceMs: 0 })));
    await advance(2_000);
    await closed;
    reader?.disconnect();
    await connection?.close();
    await redis?.close();
  });

  test("[CLU-12] nothing that nodes tell each other or share can be read", async () => {
    const [a, b, c, p, q] = nodes;
    assert.ok(a && b && c && p && q);
    await works(a, b);
    await works(p, q);
    const modern = await new ModernPeer(c.handler, { headers: ALICE })
      .listen({ toolsListChanged: true });
    await modern.message();
    a.stub.host?.broadcast({ method: CHANGED, params: { _meta: { word: MARK } } });
    assert.match(JSON.stringify(await modern.message()), /hushmark/);
    await modern.cancel();
    await a.stub.host?.peers?.send(ids()[1] ?? "", { word: MARK });
    await until(() => b.received.length > 0, "a dispatcher's message");
    // A stream that is resumed elsewhere, and one of a pinned session that its client leaves.
    const peer = await client(a);
    const frames = peer.frames(await peer.call(MARK, "ask"));
    const first = await frames.messageFrame();
    const again = await peer.with({ fetch: b.handler }).listen(first?.id);
    await again.next();
    await frames.rest();
    const held = await client(p);
    const left = held.with({ fetch: q.handler });
    const stream = left.frames(await left.call(MARK, "ask"));
    await stream.message();
    // Long enough for nodes to check what they have forwarded.
    await advance(11_000);
    await stream.cancel();
    await again.cancel();
    await quiet();

    const kinds = new Set(published().map(({ opened }) => opened.kind));
    const expected = [
      ...["cancel", "response", "ended", "resumed", "broadcast", "document", "dispatcher"],
      ...["forward", "forward-taken", "forward-head", "forward-part", "forward-end"],
      ...["forward-check", "forward-gone"],
    ];
    assert.deepEqual(expected.filter((kind) => !kinds.has(kind)), []);
    const opened = JSON.stringify(published().map(({ opened }) => opened));
    assert.ok(opened.split(MARK).length > 20, "the messages are full of secrets");
    const contents = [...await readContents(connection.send)];
    const texts = [...heard.map(({ channel, text }) => `${channel}\n${text}`)];
    texts.push(...contents.flatMap(([key, { entries }]) => [key, ...entries.flat()]));
    assert.ok(texts.length > 200, `${texts.length} texts`);
    for (const secret of [MARK, "Bearer", "elicitation", "x-secret", CHANGED, ...sessions]) {
      for (const text of texts) {
        assert.ok(!text.includes(secret), `${secret} in ${text}`);
        for (const part of text.split("\n")) assert.ok(!decoded(part).includes(secret), secret);
      }
    }
  });

  test("[CLU-12] nothing is done that a program without the key has published", async () => {
    const captured = published();
    const [a, b, c] = nodes;
    assert.ok(a && b && c);
    const peer = await client(a);
    const call = peer.frames(await peer.call(3, "block"));
    await call.message();
    const listen = await new ModernPeer(c.handler, { headers: ALICE })
      .listen({ toolsListChanged: true });
    await listen.message();
    const before = done();

    // One message of each kind, and of those to all nodes and to one.
    const samples = [...new Map(captured.map((each) => [String(each.opened.kind), each])).values()];
    assert.ok(samples.length >= 14, `${samples.length} kinds`);
    for (const { channel, envelope, opened } of samples) {
      const kind = String(opened.kind);
      const [line = "", sealed = ""] = envelope.split("\n");
      const [from, to, at, number] = JSON.parse(line);
      const write = (head: readonly unknown[], body = sealed) => `${JSON.stringify(head)}\n${body}`;
      const check = async (text: string, expected: readonly MessageProblem[], where = channel) => {
        for (const reason of await attack(where, text)) {
          assert.ok(expected.includes(reason), `${kind}: ${reason} for ${text.slice(0, 200)}`);
        }
      };
      // Its sender gets it too, and knows that it is not its own.
      await check(envelope, ["replayed", "foreign"]);
      await check(write([from, to, at, number + 1]), ["foreign"]);
      await check(write([from, to, at + 1, number + 5]), ["foreign"]);
      await check(write([from, to, at - 40_000, number]), ["stale"]);
      await check(write(["mallory", to, at, number]), ["foreign"]);
      for (const other of ids()) {
        if (other !== from) await check(write([other, to, at, number + 7]), ["foreign"]);
      }
      await check(envelope.slice(0, -4), ["foreign", "malformed"]);
      await check(envelope.slice(0, line.length + 1), ["foreign"]);
      await check(line, ["malformed"]);
      // What another message says, under this head.
      for (const other of samples) {
        const body = other.envelope.slice(other.envelope.indexOf("\n") + 1);
        if (body !== sealed) await check(write([from, to, at, number], body), ["foreign"]);
      }
      // The message itself, in the clear.
      await check(write([from, to, at, number + 9], btoa(JSON.stringify(opened))), ["foreign"]);
      await check(`${from}\n${JSON.stringify(opened)}`, ["malformed"]);
      // The form of earlier versions: a signature, a head, a text.
      const signed = `${btoa("s".repeat(32))}\n${line}\n${JSON.stringify(opened)}`;
      await check(signed, ["malformed"]);
      // In another node's place: as it is, and as if for that node.
      for (const [n, { prefix }] of nodes.entries()) {
        const id = ids()[n] ?? "";
        const inbox = new Keys(prefix).inbox(id);
        if (inbox === channel) continue;
        const forAll = to === "*";
        await check(
          envelope,
          forAll ? ["replayed", "foreign"] : ["misdirected"],
          // Each prefix has senders of its own.
          forAll && !channel.startsWith(prefix) ? channel : inbox,
        );
        if (!forAll) await check(write([from, id, at, number + 1]), ["foreign"], inbox);
      }
    }
    const { allNodes } = new Keys("shared");
    for (const garbage of ["", "\n", "x", "[]", "{}\nx", "[1,2,3,4]\nAAAA", "null\n", "a\n1\nb"]) {
      const reasons = await attack(allNodes, garbage);
      assert.deepEqual(new Set(reasons), new Set(["malformed"]), garbage);
    }

    assert.deepEqual(done(), before);
    await peer.result(await peer.call(5, "hello"));
    // A notification of a node comes once, and none came before it.
    a.stub.host?.broadcast({ method: CHANGED, params: { _meta: { word: "last" } } });
    assert.match(JSON.stringify(await listen.message()), /"last"/);
    await listen.cancel();
    // Nothing has stopped the call until its client does, at another node.
    await peer.with({ fetch: b.handler }).cancel(3, "done");
    await call.rest();
    assert.equal(a.blocker.reasons.length, (before[0]?.[3] ?? 0) + 1);
  });

  test("[CLU-12] what was captured is stale later, and new messages are still heard", async () => {
    const [a, b, , p, q] = nodes;
    assert.ok(a && b && p && q);
    const captured = published().filter(({ channel }) => channel.includes("{nodes}"));
    await advance(31_000);
    const before = done();
    for (const { channel, envelope } of captured.slice(0, 20)) {
      const reasons = await attack(channel, envelope);
      assert.deepEqual(reasons.filter((reason) => reason !== "stale"), []);
    }
    assert.deepEqual(done(), before);
    await works(a, b);
    await works(p, q);
  });

  test("[CLU-12] a node is heard although others have published in its name", async () => {
    const [a, b, c, p, q] = nodes;
    assert.ok(a && b && c && p && q);
    const members = new Map(published().map(({ member, channel }) => [member, channel]));
    assert.ok(members.size >= 5);
    for (const [member, seen] of members) {
      const prefix = seen.startsWith("shared") ? "shared" : "pinned";
      const keys = new Keys(prefix);
      for (const channel of [keys.allNodes, ...ids().map((id) => keys.inbox(id))]) {
        for (const number of [1, 2, 500, 9_999_999_999_999_999]) {
          await connection.send("PUBLISH", channel, `${member}\n${number}\nx`);
        }
      }
    }
    await quiet();
    await works(a, b);
    await works(b, c);
    await works(p, q);
    await works(q, p);
  });

  test("[CLU-12] who claims a pinned session gets nothing of it, and can't answer for it", async () => {
    const [, , , p, q] = nodes;
    assert.ok(p && q);
    const keys = new Keys("pinned");
    const peer = await client(p);
    const other = peer.with({ fetch: q.handler });
    await other.result(await other.call(1, "hello"));
    const claim = keys.claim(peer.sessionId ?? "");
    const [held] = await connection.send("HMGET", claim, "value") as string[]; // by HMGET
    const later = `${clock.now() + 600_000}`;
    const id = "mallorymallory00";
    await connection.send("HSET", claim, "value", id, "until", later);
    await connection.send("HSET", keys.node(id), "value", JSON.stringify({ id }), "until", later);
    const from = heard.length;
    const runs = done();
    const call = other.call(2, "work", { word: MARK }, JSON_ONLY);
    await until(
      () => heard.slice(from).some(({ channel }) => channel === keys.inbox(id)),
      "the request",
    );
    const own = heard.slice(from).filter(({ channel }) => channel === keys.inbox(id));
    for (const { text } of own) {
      assert.ok(
        !text.includes(MARK) && !text.split("\n").some((part) => decoded(part).includes(MARK)),
      );
    }
    // Answers, in its own name and in that of the node that has the session.
    const answers = published().filter(({ opened, channel }) =>
      channel === keys.inbox(ids()[4] ?? "") && /^forward-/.test(String(opened.kind))
    );
    assert.ok(answers.length > 3);
    for (const { envelope } of answers.slice(-8)) {
      const sealed = envelope.slice(envelope.indexOf("\n") + 1);
      for (const sender of [id, held]) {
        const head = JSON.stringify([sender, ids()[4], clock.now(), 1_000_000]);
        for (const body of [sealed, btoa(`{"kind":"forward-taken","id":"x"}`)]) {
          assert.deepEqual(await attack(keys.inbox(ids()[4] ?? ""), `${head}\n${body}`), [
            "foreign",
          ]);
        }
      }
    }
    assert.equal(await isPending(call), true);
    await advance(6_000);
    const response = await soon(call);
    assert.equal(response.status, 504);
    assert.ok(!(await response.text()).includes(MARK));
    assert.deepEqual(done(), runs);
    // The node that has it still does, and so does everybody when the claim is back.
    await peer.result(await peer.call(3, "hello"));
    await connection.send("HSET", claim, "value", String(held));
    assert.equal(textOf(await other.result(await other.call(4, "work"))), `result ${MARK}`);
    await peer.delete();
  });

  test("[CLU-12] no document is applied that another program has put there, and the next one is", async () => {
    const [a, b, c] = nodes;
    assert.ok(a && b && c);
    const shared = [a, b, c];
    const keys = new Keys("shared");
    const [key, drain] = [keys.document("settings"), keys.document("mooring/drain")];
    const read = async (key: string) =>
      await connection.send("HMGET", key, "version", "text") as [string, string]; // by HMGET
    await a.document.put({ word: "one" });
    const [, old] = await read(key);
    await b.document.put({ word: "two" });
    await a.handler.drain(true);
    const [, drained] = await read(drain);
    await a.handler.drain(false);
    await advance(1_000);
    const [version, current] = await read(key);
    const applied = shared.map(({ applied }) => applied.length);

    // The drain that is over, put back: nobody refuses sessions again.
    await connection.send("HSET", drain, "version", "900", "text", drained);
    await advance(1_000);
    for (const { handler, events } of shared) {
      assert.deepEqual([handler.stats().draining, handler.stats().unapplied], [undefined, 1]);
      assert.equal(events.of("message-ignored").at(-1)?.reason, "replayed");
    }
    await b.handler.drain(false);
    await advance(1_000);

    const texts = [
      ...["", "x", '{"word":"forged"}', btoa('{"number":9e15,"value":{"word":"forged"}}')],
      ...[drained, old, current.slice(0, -4), current.slice(4)],
    ];
    // Among the versions are the one before the next, and what is no version.
    const versions = [`${Number(version) - 1}`, "0", "-1", "12", "1e300", "9007199254740991", "x"];
    // A key of another type, as if it were a document.
    await connection.send("SET", key, "x");
    await advance(1_000);
    assert.ok(await c.document.put({ word: "over it" }));
    await advance(1_000);
    for (const [at, { applied: all }] of shared.entries()) {
      assert.deepEqual(all.at(-1), { word: "over it" });
      applied[at] = all.length;
    }
    for (const [n, text] of [...texts, ...texts, ...texts].entries()) {
      const forged = versions[n % versions.length] ?? "";
      await connection.send("HSET", key, "version", forged, "text", text);
      if (n % 3 !== 0) await advance(1_000);
      assert.deepEqual(shared.map(({ applied }) => applied.length), applied, text);
      if (n % 3 !== 0) {
        for (const { handler } of shared) assert.equal(handler.stats().unapplied, 1, text);
      }
      if (n % 4 !== 3) continue;
      const word = `genuine ${n}`;
      const node = shared[n % 3] ?? a;
      assert.ok(await node.document.put({ word }), `${forged} ${text}`);
      await advance(1_000);
      for (const [at, { applied: all, handler }] of shared.entries()) {
        assert.deepEqual(all.at(-1), { word }, `${forged} ${text}`);
        assert.equal(handler.stats().unapplied, undefined);
        applied[at] = all.length;
      }
    }
  });
});
