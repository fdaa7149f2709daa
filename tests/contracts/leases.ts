/**
 * What every {@linkcode Leases} must do.
 *
 * @module
 */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import type { MaybePromise } from "../../src/internal/types.ts";
import type { Leases } from "../../src/streams/leases.ts";
import { uniqueId } from "./unique.ts";

/** Leases under test. */
export interface LeasesUnderTest {
  /** The leases as each of the nodes sees them: the same in memory, one for each node elsewhere. */
  leases(): Leases;
  /**
   * The leases as a node sees them whose takeovers no other node hears of, because the messages get lost;
   * left out where none can get lost.
   */
  quiet?(): Leases;
  /** Lets everything arrive that one node has to tell another. */
  settle(): MaybePromise<void>;
  /** Lets `ms` milliseconds pass, and everything happen that is then due. */
  advance(ms: number): MaybePromise<void>;
  close(): MaybePromise<void>;
}

/** Makes leases that nobody holds. */
export type MakeLeases = () => MaybePromise<LeasesUnderTest>;

/** Runs the suite against the leases that `make` makes. */
export function leasesContract(name: string, make: MakeLeases): void {
  async function using(
    run: (
      a: Leases,
      b: Leases,
      settle: () => Promise<void>,
      made: LeasesUnderTest,
    ) => Promise<void>,
  ): Promise<void> {
    const made = await make();
    try {
      await run(made.leases(), made.leases(), async () => await made.settle(), made);
    } finally {
      await made.close();
    }
  }

  describe(`${name}`, () => {
    test("[STR-8] taking over tells the old holder once, and tokens rise", async () => {
      await using(async (a, b, settle) => {
        const key = uniqueId();
        const lost: string[] = [];
        const first = await a.take(key, () => lost.push("first"));
        const second = await b.take(key, () => lost.push("second"));
        await settle();
        assert.deepEqual(lost, ["first"]);
        const third = await a.take(key, () => lost.push("third"));
        await settle();
        assert.deepEqual(lost, ["first", "second"]);
        assert.ok(first.token < second.token && second.token < third.token);
        third.release();
      });
    });

    test("[STR-8] a release under an old token changes nothing", async () => {
      await using(async (a, b, settle) => {
        const key = uniqueId();
        let lost = 0;
        const old = await a.take(key, () => {});
        const current = await b.take(key, () => lost += 1);
        await settle();
        old.release();
        old.release();
        await settle();
        assert.equal(await a.tryTake(key, () => {}), undefined);
        assert.equal(lost, 0);
        current.release();
        await settle();
        assert.notEqual(await a.tryTake(key, () => {}), undefined);
      });
    });

    test("[STR-8, CLU-4] a release that is late frees nothing that another has taken", async () => {
      await using(async (a, b, settle) => {
        const key = uniqueId();
        let lost = 0;
        const old = await a.take(key, () => {});
        // Sent before the holder can know that it has lost the lease.
        const taking = b.take(key, () => lost += 1);
        old.release();
        const current = await taking;
        await settle();
        assert.equal(await a.held(key), true);
        assert.equal(await a.tryTake(key, () => {}), undefined);
        assert.equal(lost, 0);
        current.release();
      });
    });

    test("[STR-8] tryTake() takes only what nobody holds", async () => {
      await using(async (a, b, settle) => {
        const key = uniqueId();
        let lost = 0;
        const first = await a.tryTake(key, () => lost += 1);
        assert.notEqual(first, undefined);
        assert.equal(await b.tryTake(key, () => {}), undefined);
        assert.equal(lost, 0);
        first?.release();
        await settle();
        const second = await b.tryTake(key, () => {});
        assert.ok((second?.token ?? 0) > (first?.token ?? 0));
        second?.release();
      });
    });

    test("[STR-8] nothing is lost after its release, and a release is safe twice", async () => {
      await using(async (a, b, settle) => {
        const key = uniqueId();
        let lost = 0;
        const first = await a.take(key, () => lost += 1);
        first.release();
        first.release();
        await settle();
        const second = await b.take(key, () => {});
        first.release();
        await settle();
        assert.equal(lost, 0);
        assert.equal(await a.tryTake(key, () => {}), undefined);
        second.release();
      });
    });

    test("[STR-8] of many who take at once one holds it in the end, and all others lost it", async () => {
      await using(async (a, b, settle) => {
        const key = uniqueId();
        const lost: number[] = [];
        const leases = await Promise.all(
          Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? a : b).take(key, () => lost.push(i))),
        );
        await settle();
        assert.equal(lost.length, 9);
        assert.equal(new Set(lost).size, 9);
        const tokens = leases.map(({ token }) => token);
        const highest = Math.max(...tokens);
        assert.equal(lost.includes(tokens.indexOf(highest)), false);
        for (const lease of leases) lease.release();
      });
    });

    test("[CLU-4] tokens rise although the key was free meanwhile, for however long", async () => {
      await using(async (a, b, settle, { advance }) => {
        const key = uniqueId();
        let newest = 0;
        for (const ms of [0, 29_000, 120_000]) {
          for (const leases of [a, b]) {
            const lease = await leases.tryTake(key, () => {});
            assert.ok(lease !== undefined && lease.token > newest);
            newest = lease.token;
            lease.release();
            await settle();
          }
          await advance(ms);
        }
      });
    });

    test("[CLU-4] a holder that lost its lease never has it again, and isn't told again", async () => {
      await using(async (a, b, settle, { advance }) => {
        const key = uniqueId();
        let lost = 0;
        const old = await a.take(key, () => lost += 1);
        const current = await b.take(key, () => lost += 100);
        await settle();
        for (let i = 0; i < 4; i++) await advance(10_000);
        assert.equal(lost, 1);
        current.release();
        await settle();
        for (let i = 0; i < 4; i++) await advance(10_000);
        old.release();
        await settle();
        assert.equal(await a.held(key), false);
        assert.equal(lost, 1);
      });
    });

    test("[CLU-4] a holder that wasn't told can do nothing with its old token", async () => {
      await using(async (a, b, settle, { advance, quiet }) => {
        // Where everybody is told, the tests above say all.
        if (quiet === undefined) return;
        for (const released of [true, false]) {
          const key = uniqueId();
          let lost = 0;
          const old = await a.take(key, () => lost += 1);
          await settle();
          const current = await quiet().take(key, () => {});
          assert.ok(current.token > old.token);
          await settle();
          assert.equal(lost, 0);
          if (released) current.release();
          await settle();
          // It finds out when it renews, and doesn't take the lease back.
          await advance(10_000);
          assert.equal(lost, 1);
          assert.equal(await b.held(key), !released);
          old.release();
          await settle();
          assert.equal(await b.held(key), !released);
          const next = await b.take(key, () => {});
          assert.ok(next.token > current.token);
          next.release();
          current.release();
        }
      });
    });

    test("[CLU-4] the release of a holder that wasn't told frees nothing", async () => {
      await using(async (a, b, settle, { quiet }) => {
        if (quiet === undefined) return;
        const key = uniqueId();
        const old = await a.take(key, () => {});
        await settle();
        const current = await quiet().take(key, () => {});
        old.release();
        await settle();
        assert.equal(await b.held(key), true);
        assert.equal(await b.tryTake(key, () => {}), undefined);
        current.release();
      });
    });

    test("[CLU-4] anybody can ask whether a key is held", async () => {
      await using(async (a, b, settle) => {
        const key = uniqueId();
        assert.equal(await a.held(key), false);
        const lease = await a.take(key, () => {});
        assert.equal(await a.held(key), true);
        assert.equal(await b.held(key), true);
        const next = await b.take(key, () => {});
        await settle();
        lease.release();
        await settle();
        assert.equal(await a.held(key), true);
        next.release();
        await settle();
        assert.equal(await a.held(key), false);
        assert.equal(await b.held("__proto__"), false);
      });
    });

    test("[STR-8] keys are apart from each other, odd ones too", async () => {
      await using(async (a, b, settle) => {
        let lost = 0;
        const keys = [uniqueId(), "__proto__", "constructor", ""];
        const leases = await Promise.all(keys.map((key) => a.take(key, () => lost += 1)));
        await settle();
        assert.equal(lost, 0);
        for (const key of keys) assert.equal(await b.tryTake(key, () => {}), undefined);
        for (const lease of leases) lease.release();
      });
    });

    test("[STR-8] what the old holder does when it loses can't keep the new one out", async () => {
      await using(async (a, b, settle) => {
        const key = uniqueId();
        const first = await a.take(key, () => {
          first.release();
          throw new Error("no");
        });
        const second = await b.take(key, () => {});
        await settle();
        assert.ok(second.token > first.token);
        assert.equal(await a.tryTake(key, () => {}), undefined);
        second.release();
      });
    });
  });
}
