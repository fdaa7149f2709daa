import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Unauthorized } from "../../src/auth/errors.ts";
import { tokenBucket, type TokenBucketOptions } from "../../src/http/gates/token_bucket.ts";
import type { RateLimiter } from "../../src/http/gates/rate_limit.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import type { McpHandlerOptions } from "../../src/handler/types.ts";
import { ownerKey } from "../../src/sessions/owner.ts";
import { FakeClock } from "../support/clock.ts";
import { ModernPeer } from "../support/modern.ts";
import { as, byToken, Events, initialize, Peer, refused, Stub, text } from "../support/wire.ts";

const byPrincipal: TokenBucketOptions["key"] = (_request, _context, principal) =>
  principal && ownerKey(principal);

function endpoint(principalRateLimit: RateLimiter | undefined, more: McpHandlerOptions = {}) {
  const events = new Events();
  const stub = new Stub({ hello: () => text("Hello") });
  const handler = createMcpHandler(stub, {
    authenticate: byToken,
    principalRateLimit,
    onEvent: events.onEvent,
    ...more,
  });
  return { events, stub, handler };
}

describe("AUTH: requests by principal", () => {
  test("[AUTH-8] each principal has a bucket of its own, whatever tokens and sessions it has", async () => {
    const clock = new FakeClock();
    const limiter = tokenBucket({ perSecond: 1, burst: 4, key: byPrincipal, clock });
    const { handler, events } = endpoint(limiter, { clock });
    // A handshake is two requests
    const one = await initialize(handler, { headers: as("alice") });
    const two = await initialize(handler, { headers: as("alice") });
    for (const ask of [() => one.call(1, "hello"), () => two.call(1, "hello"), () => one.get()]) {
      const response = await ask();
      assert.equal(response.headers.get("retry-after"), "1");
      await refused(response, 429, -32000);
    }
    await refused(await two.delete(), 429, -32000);
    await refused(
      await new ModernPeer(handler, { headers: as("alice") }).call("hello"),
      429,
      -32603,
    );
    assert.deepEqual(new Set(events.refusals), new Set(["rate-limit"]));
    const bob = await initialize(handler, { headers: as("bob") });
    await bob.result(await bob.call(1, "hello"));
    await clock.advance(1_000);
    await one.result(await one.call(1, "hello"));
    await refused(await one.call(2, "hello"), 429, -32000);
    await handler.close();
  });

  test("[AUTH-8] nobody is charged for what others send in their name, nor for what no gate lets in", async () => {
    const clock = new FakeClock();
    const limiter = tokenBucket({ perSecond: 1, burst: 3, key: byPrincipal, clock });
    const { handler } = endpoint(limiter, {
      clock,
      authenticate(request) {
        if (request.headers.has("x-forged")) throw new Unauthorized();
        return byToken(request);
      },
    });
    const forger = new Peer(handler, { headers: { ...as("alice"), "x-forged": "1" } });
    for (let i = 0; i < 10; i++) {
      await refused(await forger.post(forger.initializeRequest()), 401, -32001);
      await forger.send("POST", { "content-type": "text/plain" }, "x");
      await forger.send("POST", { "content-type": "application/json" }, "{");
    }
    const alice = await initialize(handler, { headers: as("alice") });
    await alice.result(await alice.call(1, "hello"));
    await refused(await alice.call(2, "hello"), 429, -32000);
    await handler.close();
  });

  test("[AUTH-8] before it is known who calls, `rateLimit` is asked, and never with a principal", async () => {
    const asked: unknown[] = [];
    const limiter = (name: string): RateLimiter => ({
      check(_request, context, principal) {
        asked.push([name, context, principal?.id]);
        return { allowed: true };
      },
    });
    const { handler } = endpoint(limiter("after"), { rateLimit: limiter("before") });
    const peer = new ModernPeer(handler, { headers: as("alice") });
    await (await peer.call("hello")).text();
    assert.deepEqual(asked, [["before", undefined, undefined], ["after", undefined, "alice"]]);
    await handler.close();
  });

  test("[AUTH-8] a limiter that takes its time, or fails, decides all the same", async () => {
    const failure = new Error("down");
    const checks: readonly [RateLimiter["check"], number][] = [
      [async () => ({ allowed: true }), 200],
      [async () => ({ allowed: false }), 429],
      [() => Promise.reject(failure), 429],
      [() => {
        throw failure;
      }, 429],
    ];
    for (const [check, status] of checks) {
      for (const later of [true, false]) {
        const { handler, stub, events } = endpoint({ check }, {
          authenticate: (request) => later ? Promise.resolve(byToken(request)) : byToken(request),
        });
        const peer = new ModernPeer(handler, { headers: as("alice") });
        const response = await peer.call("hello");
        assert.equal(response.status, status);
        assert.equal(stub.exchanges.length, status === 200 ? 1 : 0);
        assert.ok(events.of("error").every(({ error }) => error === failure));
        await response.body?.cancel();
        await handler.close();
      }
    }
  });

  test("[AUTH-8] what is no limiter is misuse", () => {
    const options = { principalRateLimit: () => true } as unknown as McpHandlerOptions; // misuse
    assert.throws(() => createMcpHandler(new Stub(), options), /"check" as "principalRateLimit"/);
  });
});
