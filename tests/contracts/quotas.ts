/**
 * What every {@linkcode QuotaStore} must do.
 *
 * @module
 */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import type { QuotaStore, TokenGrant } from "../../src/internal/quota_store.ts";
import type { MaybePromise } from "../../src/internal/types.ts";
import { uniqueId } from "./unique.ts";

/** Quotas under test. */
export interface QuotasUnderTest {
  /** The quotas as each of the nodes sees them. */
  quotas(): QuotaStore;
  /** Lets `ms` milliseconds pass, and everything happen that is then due. */
  advance(ms: number): MaybePromise<void>;
  close(): MaybePromise<void>;
}

/** Makes quotas of which nobody has anything. */
export type MakeQuotas = () => MaybePromise<QuotasUnderTest>;

const TTL_MS = 30_000;

/** Runs the suite against the quotas that `make` makes. */
export function quotasContract(name: string, make: MakeQuotas): void {
  async function using(
    run: (a: QuotaStore, b: QuotaStore, advance: (ms: number) => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const made = await make();
    try {
      await run(made.quotas(), made.quotas(), async (ms) => await made.advance(ms));
    } finally {
      await made.close();
    }
  }

  /** Asks for units of a limit of 10. */
  function hold(
    store: QuotaStore,
    quota: string,
    node: string,
    { keep = 0, need = 0, spare = 0, limit = 10 } = {},
  ): MaybePromise<number> {
    return store.hold(quota, node, { limit, keep, need, spare, ttlMs: TTL_MS });
  }

  /** Asks for tokens of a bucket of 10, to which one is added each second. */
  async function spend(
    store: QuotaStore,
    bucket: string,
    { charge = 0, need = 0, spare = 0, perSecond = 1, burst = 10 } = {},
  ): Promise<TokenGrant> {
    const { tokens, waitMs } = await store.spend(bucket, {
      perSecond,
      burst,
      charge,
      need,
      spare,
    });
    return { tokens, waitMs: Math.round(waitMs) };
  }

  describe(name, () => {
    test("[CLU-14] all nodes together get the limit, and what one returns another gets", async () => {
      await using(async (a, b) => {
        const quota = uniqueId();
        assert.equal(await hold(a, quota, "a", { need: 6 }), 6);
        assert.equal(await hold(b, quota, "b", { need: 6 }), 4);
        assert.equal(await hold(b, quota, "b", { keep: 4, need: 1 }), 4);
        assert.equal(await hold(a, quota, "a", { keep: 5 }), 5);
        assert.equal(await hold(b, quota, "b", { keep: 4, need: 3 }), 5);
        assert.equal(await hold(a, quota, "a"), 0);
        assert.equal(await hold(b, quota, "b", { keep: 5, need: 9 }), 10);
      });
    });

    test("[CLU-14] the same request again, after a lost answer, takes nothing more", async () => {
      await using(async (a, b) => {
        const quota = uniqueId();
        for (let i = 0; i < 3; i++) assert.equal(await hold(a, quota, "a", { need: 7 }), 7);
        assert.equal(await hold(b, quota, "b", { need: 10 }), 3);
      });
    });

    test("[CLU-14] a burst from two nodes gets no unit twice", async () => {
      await using(async (a, b) => {
        const quota = uniqueId();
        const units = await Promise.all(
          Array.from({ length: 8 }, (_, i) => hold(i % 2 ? a : b, quota, `${i}`, { need: 3 })),
        );
        assert.equal(units.reduce((sum, each) => sum + each, 0), 10);
      });
    });

    test("[CLU-14] what a node keeps it has, although others have leased it", async () => {
      await using(async (a, b) => {
        const quota = uniqueId();
        assert.equal(await hold(a, quota, "a", { need: 10 }), 10);
        assert.equal(await hold(b, quota, "b", { keep: 3, need: 4, spare: 4 }), 3);
        // And counts for the others.
        assert.equal(await hold(a, quota, "a", { keep: 5, need: 5 }), 7);
      });
    });

    test("[CLU-14] spare units are half of what is free at most", async () => {
      await using(async (a, b) => {
        const quota = uniqueId();
        assert.equal(await hold(a, quota, "a", { need: 2, spare: 20 }), 6);
        assert.equal(await hold(b, quota, "b", { need: 1, spare: 1 }), 2);
        assert.equal(await hold(b, quota, "b", { keep: 2, need: 2, spare: 5 }), 4);
        assert.equal(await hold(b, quota, "c", { need: 0, spare: 5 }), 0);
      });
    });

    test("[CLU-15] the units of a node that says nothing more expire", async () => {
      await using(async (a, b, advance) => {
        const quota = uniqueId();
        assert.equal(await hold(a, quota, "dead", { need: 4 }), 4);
        await advance(TTL_MS - 1);
        assert.equal(await hold(b, quota, "b", { need: 10 }), 6);
        await advance(1);
        assert.equal(await hold(b, quota, "b", { keep: 6, need: 4 }), 10);
        await advance(TTL_MS);
        assert.equal(await hold(a, quota, "a", { need: 10 }), 10);
      });
    });

    test("[CLU-15] a node that renews keeps its units, while a dead one's expire", async () => {
      await using(async (a, b, advance) => {
        const quota = uniqueId();
        assert.equal(await hold(a, quota, "a", { need: 3 }), 3);
        assert.equal(await hold(a, quota, "dead", { need: 3 }), 3);
        for (let i = 0; i < 4; i++) {
          await advance(TTL_MS / 3);
          assert.equal(await hold(a, quota, "a", { keep: 3 }), 3);
        }
        assert.equal(await hold(b, quota, "b", { need: 10 }), 7);
      });
    });

    test("[CLU-14] quotas and nodes are apart from each other, odd names too", async () => {
      await using(async (a) => {
        const names = [uniqueId(), "__proto__", "constructor", "", "ü {x}"];
        for (const quota of names) {
          for (const node of names) assert.equal(await hold(a, quota, node, { need: 2 }), 2);
          assert.equal(await hold(a, quota, "last", { need: 2 }), 0);
        }
        for (const quota of names) for (const node of names) await hold(a, quota, node);
      });
    });

    test("[CLU-16] a bucket is full at first, and all nodes take from one", async () => {
      await using(async (a, b) => {
        const bucket = uniqueId();
        assert.deepEqual(await spend(a, bucket, { need: 6 }), { tokens: 6, waitMs: 0 });
        assert.deepEqual(await spend(b, bucket, { need: 6 }), { tokens: 4, waitMs: 1_000 });
        assert.deepEqual(await spend(a, bucket, { need: 1 }), { tokens: 0, waitMs: 1_000 });
      });
    });

    test("[CLU-16] tokens come back at their rate, up to the burst", async () => {
      await using(async (a, b, advance) => {
        const bucket = uniqueId();
        await spend(a, bucket, { need: 10 });
        await advance(999);
        assert.deepEqual(await spend(b, bucket, { need: 1 }), { tokens: 0, waitMs: 1 });
        await advance(1);
        assert.deepEqual(await spend(b, bucket, { need: 2 }), { tokens: 1, waitMs: 1_000 });
        await advance(3_500);
        assert.deepEqual(await spend(b, bucket, { need: 9 }), { tokens: 3, waitMs: 500 });
        await advance(60_000);
        assert.equal((await spend(b, bucket, { need: 99 })).tokens, 10);
      });
    });

    test("[CLU-16] no fraction of a token is lost or made up", async () => {
      await using(async (a, b, advance) => {
        const bucket = uniqueId();
        const rate = { perSecond: 3, burst: 2 };
        let tokens = 0;
        for (let i = 0; i < 100; i++) {
          tokens += (await spend(i % 2 ? a : b, bucket, { ...rate, need: 2 })).tokens;
          await advance(100);
        }
        // 2 at first, and 3 in each of 9.9 seconds.
        assert.equal(tokens, 31);
      });
    });

    test("[CLU-16] a burst from two nodes gets no token twice", async () => {
      await using(async (a, b) => {
        const bucket = uniqueId();
        const grants = await Promise.all(
          Array.from({ length: 8 }, (_, i) => spend(i % 2 ? a : b, bucket, { need: 3 })),
        );
        assert.equal(grants.reduce((sum, { tokens }) => sum + tokens, 0), 10);
      });
    });

    test("[CLU-16] spare tokens are half of what is left at most, and come back when returned", async () => {
      await using(async (a, b) => {
        const bucket = uniqueId();
        assert.equal((await spend(a, bucket, { need: 2, spare: 20 })).tokens, 6);
        assert.equal((await spend(b, bucket, { need: 10 })).tokens, 4);
        assert.deepEqual(await spend(a, bucket, { charge: -3 }), { tokens: 0, waitMs: 0 });
        assert.equal((await spend(b, bucket, { need: 10 })).tokens, 3);
        // Never more than a full bucket.
        await spend(a, bucket, { charge: -99 });
        assert.equal((await spend(b, bucket, { need: 99 })).tokens, 10);
      });
    });

    test("[CLU-16] a charge counts, and leaves a debt of a burst at most", async () => {
      await using(async (a, b, advance) => {
        const bucket = uniqueId();
        assert.equal((await spend(a, bucket, { charge: 4, need: 9 })).tokens, 6);
        assert.deepEqual(await spend(b, bucket, { charge: 2 }), { tokens: 0, waitMs: 3_000 });
        assert.deepEqual(await spend(b, bucket, { charge: 99 }), { tokens: 0, waitMs: 11_000 });
        await advance(11_000);
        assert.equal((await spend(b, bucket, { need: 9 })).tokens, 1);
      });
    });

    test("[CLU-16] buckets are apart from each other, and from quotas", async () => {
      await using(async (a) => {
        for (const bucket of [uniqueId(), "__proto__", "constructor", ""]) {
          assert.equal(await hold(a, bucket, "a", { need: 10 }), 10);
          assert.equal((await spend(a, bucket, { need: 10 })).tokens, 10);
          await hold(a, bucket, "a");
        }
      });
    });
  });
}
