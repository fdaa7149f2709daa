import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Forbidden, Unauthorized } from "../../src/auth/errors.ts";
import { protectedResource } from "../../src/auth/protected_resource.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { Principal } from "../../src/protocol/exchange.ts";
import { FakeClock } from "../support/clock.ts";
import {
  as,
  Blocker,
  byToken,
  Events,
  initialize,
  Peer,
  refused,
  seen,
  Stub,
  text,
} from "../support/wire.ts";

const UNKNOWN = "A".repeat(32);
const METADATA = {
  resource: "https://api.example/mcp",
  authorizationServers: ["https://login.example"],
};

/** One request of each verb, with a session id that nobody has. */
const VERBS: Readonly<Record<string, (peer: Peer) => Promise<Response>>> = {
  POST: (peer) => peer.request(1, "ping"),
  GET: (peer) => peer.get(),
  DELETE: (peer) => peer.delete(),
};

function stranger(fetch: Peer["fetch"]): Peer {
  const peer = new Peer(fetch);
  peer.sessionId = UNKNOWN;
  return peer;
}

describe("AUTH: authenticate", () => {
  for (const [verb, send] of Object.entries(VERBS)) {
    test(`[AUTH-1] ${verb}: Unauthorized → 401 with its challenge`, async () => {
      const handler = createMcpHandler(new Stub(), {
        authenticate() {
          throw new Unauthorized("Who are you?", { challenge: 'Bearer realm="mcp"' });
        },
      });
      const response = await send(stranger(handler));
      assert.equal(response.headers.get("www-authenticate"), 'Bearer realm="mcp"');
      assert.equal((await refused(response, 401, -32001)).message, "Who are you?");
      await handler.close();
    });

    test(`[AUTH-1] ${verb}: Forbidden → 403 that says the scope is insufficient`, async () => {
      const handler = createMcpHandler(new Stub(), {
        authenticate: () => Promise.reject(new Forbidden("No", { scopes: ["mcp:use"] })),
      });
      const response = await send(stranger(handler));
      assert.equal(response.status, 403);
      const challenge = response.headers.get("www-authenticate") ?? "";
      assert.match(challenge, /^Bearer .*error="insufficient_scope"/);
      assert.match(challenge, /scope="mcp:use"/);
      await response.body?.cancel();
      await handler.close();
    });

    test(`[AUTH-1] ${verb}: anything else → 500 that leaks nothing, and an event that tells`, async () => {
      const secret = "redis://10.0.0.7:6379 token hunter2";
      const failures: (() => Principal | Promise<Principal>)[] = [
        () => {
          throw new TypeError(secret);
        },
        () => Promise.reject(new Error(secret)),
        () => Promise.reject(secret),
      ];
      for (const authenticate of failures) {
        const events = new Events();
        const handler = createMcpHandler(new Stub(), { authenticate, onEvent: events.onEvent });
        const response = await send(stranger(handler));
        const { headers, body } = await seen(response.clone());
        assert.doesNotMatch(`${JSON.stringify(headers)}${body}`, /redis|hunter2|TypeError| at /);
        assert.equal((await refused(response, 500, -32603)).message, "Internal error");
        assert.match(String(events.of("error")[0]?.error), /hunter2/);
        await handler.close();
      }
    });
  }

  test("[AUTH-1] what is no principal is a failure of the server, never a guest", async () => {
    for (const wrong of [undefined, null, "alice", {}, { id: "" }, { id: 7 }, { id: null }, []]) {
      const handler = createMcpHandler(new Stub(), {
        // The point is what happens when the type is not kept.
        authenticate: () => wrong as unknown as Principal,
      });
      await refused(await stranger(handler).request(1, "ping"), 500, -32603);
      await handler.close();
    }
  });

  test("[AUTH-1] every request is authenticated by itself, with the host's context", async () => {
    const contexts: unknown[] = [];
    let known = true;
    const handler = createMcpHandler(new Stub(), {
      authenticate(_request, context) {
        contexts.push(context);
        if (!known) throw new Unauthorized();
        return { id: "alice" };
      },
    });
    const context = { remoteAddr: "somewhere" };
    const peer = await initialize((request) => handler(request, context));
    assert.deepEqual(contexts, [context, context]);
    // A session opens no door by itself.
    known = false;
    for (const send of Object.values(VERBS)) await refused(await send(peer), 401, -32001);
    known = true;
    await peer.result(await peer.request(1, "ping"));
    await handler.close();
  });

  test("[AUTH-1] the dispatcher sees the principal that was returned", async () => {
    const principal = {
      id: "alice",
      issuer: "https://as.example",
      scopes: ["a"],
      claims: { b: 1 },
    };
    const stub = new Stub();
    const handler = createMcpHandler(stub, { authenticate: () => principal });
    await (await initialize(handler)).request(1, "ping");
    assert.deepEqual(stub.exchanges.map((exchange) => exchange.principal), [principal, principal]);
    await handler.close();
  });
});

describe("AUTH: what an application's functions return", () => {
  const results: Readonly<Record<string, unknown>> = {
    "null": null,
    "a response": new Response("let me in", { status: 200 }),
    "a promise": Promise.resolve(undefined),
    "an object": { id: "mallory", status: 200, headers: {}, body: "in" },
    "a reply without headers": { kind: "reply", status: 200, body: "in" },
  };
  for (const [what, result] of Object.entries(results)) {
    test(`[AUTH-4] a resource that replies with ${what} → 500, and nothing runs`, async () => {
      const events = new Events();
      const stub = new Stub();
      // JavaScript callers may return anything.
      const reply = () => result as undefined;
      const resource = { ...protectedResource(METADATA), reply };
      const handler = createMcpHandler(stub, { resource, onEvent: events.onEvent });
      await refused(await stranger(handler).request(1, "ping"), 500, -32603);
      assert.equal(stub.exchanges.length, 0);
      assert.deepEqual(events.refusals, ["internal"]);
      await handler.close();
    });
  }

  test("[AUTH-1] an authenticate that returns a response with an id lets nobody in as a response", async () => {
    const response = Object.assign(new Response("let me in"), { id: "alice" });
    const principals: unknown[] = [];
    const stub = new Stub({
      who: ({ principal }) => text(principals.push(principal) ? principal.id : ""),
    });
    const handler = createMcpHandler(stub, { authenticate: () => response });
    const peer = await initialize(handler);
    const answer = await peer.json(await peer.call(1, "who"));
    assert.notEqual(answer.result, undefined);
    assert.deepEqual(principals, [response]);
    await handler.close();
  });
});

describe("AUTH: nobody authenticates", () => {
  test("[AUTH-2] everybody is one principal, and one event warns at construction", async () => {
    const events = new Events();
    const stub = new Stub();
    const handler = createMcpHandler(stub, { onEvent: events.onEvent });
    assert.deepEqual(events.all, [{ type: "anonymous" }]);
    const peer = await initialize(handler, { headers: as("alice") });
    const other = peer.with({ headers: as("bob") });
    await other.result(await other.request(1, "ping"));
    assert.deepEqual(stub.exchanges[0]?.principal, stub.exchanges[1]?.principal);
    assert.equal(events.of("anonymous").length, 1);
    await handler.close();
  });

  test("[AUTH-2] with authenticate nothing warns", async () => {
    const events = new Events();
    const handler = createMcpHandler(new Stub(), {
      authenticate: byToken,
      onEvent: events.onEvent,
    });
    await initialize(handler, { headers: as("alice") });
    assert.equal(events.of("anonymous").length, 0);
    await handler.close();
  });
});

describe("AUTH: owner key", () => {
  const owner: Principal = { issuer: "https://as.example", id: "alice", clientId: "app" };
  const same: readonly (readonly [string, Principal])[] = [
    ["other scopes", { ...owner, scopes: ["other"] }],
    ["other claims", { ...owner, claims: { jti: "2" } }],
    ["another expiry", { ...owner, expiresAt: Infinity }],
  ];
  const others: readonly (readonly [string, Principal])[] = [
    ["another id", { ...owner, id: "bob" }],
    ["another issuer", { ...owner, issuer: "https://other.example" }],
    ["another client", { ...owner, clientId: "other" }],
    ["no issuer", { id: "alice", clientId: "app" }],
    ["no client", { id: "alice", issuer: "https://as.example" }],
    ["an id in other case", { ...owner, id: "Alice" }],
    ["the same text cut elsewhere", { ...owner, id: "e", clientId: "appalic" }],
    ["an empty client", { ...owner, clientId: "" }],
  ];
  const principals = new Map([...same, ...others]);

  async function endpoint() {
    const handler = createMcpHandler(new Stub(), {
      authenticate: ({ headers }) => principals.get(headers.get("x-who") ?? "") ?? owner,
    });
    return { handler, peer: await initialize(handler, { headers: { authorization: "Bearer 1" } }) };
  }

  for (const [name] of same) {
    test(`[AUTH-3] ${name} under a new token keep the session`, async () => {
      const { handler, peer } = await endpoint();
      const headers = { "authorization": "Bearer 2", "x-who": name };
      const refreshed = peer.with({ headers });
      await refreshed.result(await refreshed.request(1, "ping"));
      assert.equal((await refreshed.delete()).status, 204);
      await handler.close();
    });
  }

  for (const [name] of others) {
    test(`[AUTH-3] ${name} with the same token doesn't have the session`, async () => {
      const { handler, peer } = await endpoint();
      const foreign = peer.with({ headers: { "authorization": "Bearer 1", "x-who": name } });
      for (const send of Object.values(VERBS)) await refused(await send(foreign), 404, -32001);
      await peer.result(await peer.request(1, "ping"));
      await handler.close();
    });
  }
});

describe("AUTH: expiry", () => {
  async function endpoint() {
    const clock = new FakeClock();
    const events = new Events();
    const blocker = new Blocker();
    let expiresAt: number | undefined = clock.now() + 10_000;
    const handler = createMcpHandler(new Stub({ block: blocker.act, hello: () => text("Hello") }), {
      clock,
      authenticate: () => ({ id: "alice", expiresAt }),
      onEvent: events.onEvent,
    });
    const refresh = () => expiresAt = clock.now() + 10_000;
    return { clock, events, blocker, handler, refresh, peer: await initialize(handler) };
  }

  test("[AUTH-3] a principal at or past expiresAt is refused on every verb", async () => {
    const { clock, events, handler, peer, refresh } = await endpoint();
    await clock.advance(9_999);
    await peer.result(await peer.request(1, "ping"));
    await clock.advance(1);
    for (const send of Object.values(VERBS)) {
      const response = await send(peer);
      assert.match(response.headers.get("www-authenticate") ?? "", /^Bearer .*invalid_token/);
      await refused(response, 401, -32001);
    }
    assert.deepEqual(events.refusals, Array(3).fill("credentials-expired"));
    refresh();
    await peer.result(await peer.request(1, "ping"));
    await handler.close();
  });

  test("[AUTH-3] streams that are over no longer wait for the expiry of their credentials", async () => {
    const clock = new FakeClock();
    const expiresAt = clock.now() + 1_000_000;
    const blocker = new Blocker();
    const handler = createMcpHandler(new Stub({ block: blocker.act }), {
      clock,
      authenticate: () => ({ id: "alice", expiresAt }),
    });
    const peer = await initialize(handler);
    const call = peer.call(1, "block");
    await blocker.running();
    await clock.advance(1_000);
    const stream = peer.frames(await call);
    const server = await peer.listen();
    await server.cancel();
    const again = await peer.listen();
    await (await peer.listen()).cancel();
    assert.equal((await again.messages()).length, 0);
    blocker.gate.open("done");
    assert.equal((await stream.messages()).length, 1);
    assert.equal(handler.stats().streams, 0);
    // Nothing else waits for more than a minute but the sweep for expired sessions.
    await clock.advance(120_000);
    assert.equal(clock.pending, 1);
    await handler.close();
  });

  test("[AUTH-3] open streams end within a second of expiry, not before; the session and the call live on", async () => {
    const { clock, events, handler, peer, refresh, blocker } = await endpoint();
    const server = await peer.listen();
    assert.equal((await server.next())?.id, "s.0");
    const call = peer.call(1, "block");
    await blocker.running();
    await clock.advance(1_000);
    const stream = peer.frames(await call);
    const cursor = (await stream.next())?.id;
    await clock.advance(8_999);
    assert.equal(handler.stats().streams, 2);
    await clock.advance(1_001);
    assert.equal(handler.stats().streams, 0);
    assert.deepEqual(await server.messages(), []);
    assert.deepEqual(await stream.messages(), []);
    assert.deepEqual(
      events.of("stream-closed").map(({ reason }) => reason),
      ["unauthorized", "unauthorized"],
    );
    assert.equal(handler.stats().requests, 1);
    // With new credentials the client comes back for the rest.
    refresh();
    const resumed = await peer.listen(cursor);
    blocker.gate.open("done");
    const messages = await resumed.messages();
    assert.deepEqual(messages, [{ jsonrpc: "2.0", id: 1, result: text("done") }]);
    await handler.close();
  });
});
