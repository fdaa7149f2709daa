import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { memoryStore } from "../../../src/cluster/memory/store.ts";
import type { RateLimitDecision } from "../../../src/http/gates/rate_limit.ts";
import { tokenBucket, type TokenBucketOptions } from "../../../src/http/gates/token_bucket.ts";
import type { MaybePromise } from "../../../src/internal/types.ts";
import { FakeClock } from "../../support/clock.ts";
import { RemoteQuotas } from "../../support/quotas.ts";
import { bare } from "./support.ts";

type Take = (key?: string) => MaybePromise<RateLimitDecision>;

/** Rate limiters of three nodes, over a store that answers later. */
function cluster(options: Omit<TokenBucketOptions, "key" | "clock" | "store">) {
  const clock = new FakeClock();
  const quotas = new RemoteQuotas(clock);
  const store = { quotas: () => quotas };
  const key = (_request: Request, context: unknown) => String(context);
  const nodes = Array.from({ length: 3 }, (): Take => {
    const limiter = tokenBucket({ ...options, store, clock, key });
    return (name = "alice") => limiter.check(bare("GET"), name);
  });
  const [a = assert.fail(), b = assert.fail(), c = assert.fail()] = nodes;
  return { clock, quotas, nodes, a, b, c };
}

/** Sends requests at once; returns how many passed. */
async function passed(take: Take, count: number, key?: string): Promise<number> {
  const decisions = await Promise.all(Array.from({ length: count }, () => take(key)));
  return decisions.filter(({ allowed }) => allowed).length;
}

const sum = (counts: readonly number[]) => counts.reduce((sum, count) => sum + count, 0);

describe("tokenBucket({ store })", () => {
  test("[CLU-16] three nodes let one burst through, not three, and then one rate", async () => {
    for (const burst of [1, 2, 9, 15]) {
      const { clock, nodes } = cluster({ perSecond: 2, burst });
      const counts = await Promise.all(nodes.map((take) => passed(take, 20)));
      assert.ok(sum(counts) <= burst && sum(counts) >= burst - (burst < 10 ? 0 : 2), `${counts}`);
      await clock.advance(3_000);
      await clock.advance(60_000);
      const inAll = sum(await Promise.all(nodes.map((take) => passed(take, 20))));
      let later = 0;
      for (let i = 0; i < 100; i++) {
        await clock.advance(100);
        for (const take of nodes) later += await passed(take, 2);
      }
      assert.ok(inAll + later <= burst + 20, `${inAll} and ${later}`);
      assert.ok(inAll + later >= burst + 18 - 2, `${inAll} and ${later}`);
    }
  });

  test("[CLU-16] from a burst of 20, each node lets a twentieth more through at most", async () => {
    const { clock, nodes } = cluster({ perSecond: 10, burst: 100 });
    let all = 0;
    for (let i = 0; i < 100; i++) {
      all += sum(await Promise.all(nodes.map((take) => passed(take, 10))));
      await clock.advance(100);
    }
    // A burst, ten seconds, and an allowance for each node, which the store counts as it learns of it.
    assert.ok(all <= 100 + 100 + 3 * 5, `${all}`);
    assert.ok(all >= 100 + 99, `${all}`);
  });

  test("[CLU-16] nodes with few requests each are over the rate by a twentieth each at most", async () => {
    const { clock, nodes, quotas } = cluster({ perSecond: 20, burst: 40 });
    let all = 0;
    for (let i = 0; i < 100; i++) {
      for (const take of nodes) all += await passed(take, 1);
      await clock.advance(1_000);
    }
    assert.equal(all, 300);
    assert.equal(quotas.commands, 0);
  });

  test("[CLU-16] a refusal says when to come again, and coming then is in time", async () => {
    const { clock, a, b } = cluster({ perSecond: 2, burst: 1 });
    assert.deepEqual(await a(), { allowed: true });
    assert.deepEqual(await b(), { allowed: false, retryAfterMs: 500 });
    await clock.advance(499);
    assert.deepEqual(await b(), { allowed: false, retryAfterMs: 1 });
    await clock.advance(1);
    assert.deepEqual(await b(), { allowed: true });
    assert.deepEqual(await a(), { allowed: false, retryAfterMs: 500 });
  });

  test("[CLU-16] tokens that a node doesn't spend are another's within two seconds", async () => {
    const { clock, a, b } = cluster({ perSecond: 0.001, burst: 19 });
    assert.equal(await passed(a, 1), 1);
    assert.equal(await passed(b, 19), 17);
    await clock.advance(2_000);
    assert.equal(await passed(b, 19), 1);
    await clock.advance(2_000);
    assert.equal(clock.pending, 0);
  });

  test("[CLU-17] requests take tokens in parts: few wait, and few commands are sent", async () => {
    const { clock, quotas, a } = cluster({ perSecond: 100, burst: 200 });
    let waited = 0;
    for (let i = 0; i < 500; i++) {
      const decision = a();
      if ("then" in decision) waited++;
      assert.equal((await decision).allowed, true);
      await clock.advance(20);
    }
    assert.ok(quotas.commands <= 500 / 10 + 5, `${quotas.commands} commands`);
    assert.ok(waited <= 5, `${waited} waited`);
  });

  test("[CLU-17] a flood asks the store no more often than tokens come back", async () => {
    const { clock, quotas, a } = cluster({ perSecond: 2, burst: 2 });
    let allowed = 0;
    for (let i = 0; i < 1_000; i++) {
      allowed += await passed(a, 10);
      await clock.advance(10);
    }
    assert.ok(allowed <= 22 && allowed >= 20, `${allowed}`);
    assert.ok(quotas.commands <= 2 * 22, `${quotas.commands} commands`);
  });

  test("[CLU-16] no more wait than a burst", async () => {
    const { quotas, a, clock } = cluster({ perSecond: 1, burst: 3 });
    quotas.latencyMs = 100;
    const decisions = Array.from({ length: 50 }, () => a());
    assert.equal(decisions.filter((decision) => "then" in decision).length, 3);
    await clock.advance(200);
    const made = await Promise.all(decisions);
    assert.equal(made.filter(({ allowed }) => allowed).length, 3);
    assert.equal(quotas.commands, 2);
  });

  test("[CLU-15] while the store is away, what a node has is spent, and the rest fails", async () => {
    const { a, quotas, clock } = cluster({ perSecond: 1, burst: 40 });
    // 2 of the allowance, then 1 and 4 to spare
    assert.equal(await passed(a, 3), 3);
    quotas.away = true;
    assert.equal(await passed(a, 4), 4);
    await assert.rejects(async () => await a(), /away/);
    assert.equal(await passed(a, 2, "bob"), 2);
    await assert.rejects(async () => await a("bob"), /away/);
    quotas.away = false;
    await clock.advance(1_000);
    assert.equal(await passed(a, 5), 5);
  });

  test("[CLU-16] limiters with other names, rates and keys count apart", async () => {
    const store = memoryStore();
    const clock = new FakeClock();
    const key = (_request: Request, context: unknown) => String(context);
    const one = { store, clock, key, perSecond: 1, burst: 1 };
    const make = (options: Partial<TokenBucketOptions>) => tokenBucket({ ...one, ...options });
    const limiters = [make({}), make({ name: "tools" }), make({ perSecond: 2 })];
    for (const limiter of limiters) {
      assert.deepEqual(limiter.check(bare("GET"), "a"), { allowed: true });
    }
    assert.deepEqual(limiters[0]?.check(bare("GET"), "b"), { allowed: true });
    // The same options at another node are the same limiter.
    const refused = { allowed: false, retryAfterMs: 1_000 };
    assert.deepEqual(make({}).check(bare("GET"), "a"), refused);
  });

  test("[CLU-16] the number of remembered keys is limited, and what a forgotten one had is returned", async () => {
    const { quotas, a, clock } = cluster({ perSecond: 1, burst: 12, maxKeys: 10 });
    for (let i = 0; i < 100; i++) await passed(a, 1, `key ${i}`);
    await clock.advance(0);
    // One command takes, one returns.
    assert.equal(quotas.commands, 190);
    const left = JSON.stringify(["", 1, 12, "key 0"]);
    const request = { perSecond: 1, burst: 12, charge: 0, need: 12, spare: 0 };
    assert.equal(quotas.inner.spend(left, request).tokens, 11);
  });

  test("[CLU-16] a store that can't count is misuse", () => {
    const options = { perSecond: 1, key: () => "a" };
    assert.throws(() => tokenBucket({ ...options, store: {} }), /"quotas" as "store"/);
    // @ts-expect-error: not a string
    assert.throws(() => tokenBucket({ ...options, name: 1 }), TypeError);
  });
});
