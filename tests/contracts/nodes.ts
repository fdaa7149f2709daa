/**
 * What every {@linkcode Nodes} and every {@linkcode Claims} must do.
 *
 * @module
 */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import type { MaybePromise } from "../../src/internal/types.ts";
import type { Claims, Nodes } from "../../src/cluster/types.ts";
import { uniqueId } from "./unique.ts";

/** Nodes and claims under test. */
export interface NodesUnderTest {
  /** As each of the nodes sees them: the same in memory, one for each node elsewhere. */
  nodes(): Nodes;
  claims(): Claims;
  /** Lets time pass for the store. */
  advance(ms: number): MaybePromise<void>;
  close(): MaybePromise<void>;
}

/** Makes a place where no node lives. */
export type MakeNodes = () => MaybePromise<NodesUnderTest>;

/** Runs the suite against what `make` makes. */
export function nodesContract(name: string, make: MakeNodes): void {
  async function using(run: (made: NodesUnderTest) => Promise<void>): Promise<void> {
    const made = await make();
    try {
      await run(made);
    } finally {
      await made.close();
    }
  }

  describe(`${name}: nodes`, () => {
    test("[CLU-5] a node lives as long as it says so, for all", async () => {
      await using(async (made) => {
        const [a, b] = [made.nodes(), made.nodes()];
        const node = { id: uniqueId() };
        assert.equal(await b.find(node.id), undefined);
        await a.beat(node, 400);
        assert.deepEqual(await b.find(node.id), node);
        await made.advance(250);
        await a.beat(node, 400);
        await made.advance(250);
        assert.deepEqual(await b.find(node.id), node);
        await made.advance(250);
        assert.equal(await b.find(node.id), undefined);
        assert.equal(await a.find(node.id), undefined);
      });
    });

    test("[CLU-5] nodes and claims last for their time, to the millisecond", async () => {
      await using(async (made) => {
        const [nodes, claims, id] = [made.nodes(), made.claims(), uniqueId()];
        await nodes.beat({ id }, 30_000);
        await claims.claim(id, "a", 30_000);
        await made.advance(29_999);
        assert.deepEqual(await nodes.find(id), { id });
        assert.equal(await claims.holder(id), "a");
        await made.advance(1);
        assert.equal(await nodes.find(id), undefined);
        assert.equal(await claims.holder(id), undefined);
      });
    });

    test("[CLU-5] a node beats again and again, and may leave", async () => {
      await using(async (made) => {
        const [a, b] = [made.nodes(), made.nodes()];
        const id = uniqueId();
        await a.beat({ id }, 60_000);
        await a.beat({ id }, 60_000);
        assert.deepEqual(await b.find(id), { id });
        await b.leave(uniqueId());
        assert.deepEqual(await b.find(id), { id });
        await a.leave(id);
        await a.leave(id);
        assert.equal(await b.find(id), undefined);
      });
    });

    test("[CLU-12] a proof is kept as it is, and goes with the next heartbeat", async () => {
      await using(async (made) => {
        const [a, b, id] = [made.nodes(), made.nodes(), uniqueId()];
        await a.beat({ id, proof: 'now "é\n' }, 60_000);
        assert.deepEqual(await b.find(id), { id, proof: 'now "é\n' });
        await a.beat({ id }, 60_000);
        assert.deepEqual(await b.find(id), { id });
      });
    });

    test("[CLU-5] ids like __proto__ are as unknown as any other", async () => {
      await using(async (made) => {
        for (const id of ["__proto__", "constructor", ""]) {
          assert.equal(await made.nodes().find(id), undefined);
          assert.equal(await made.claims().holder(id), undefined);
        }
      });
    });
  });

  describe(`${name}: claims`, () => {
    test("[CLU-5] what nobody holds is taken, the own renewed, another's left", async () => {
      await using(async (made) => {
        const [a, b] = [made.claims(), made.claims()];
        const session = uniqueId();
        assert.equal(await b.holder(session), undefined);
        assert.equal(await a.claim(session, "a", 400), "a");
        assert.equal(await b.claim(session, "b", 60_000), "a");
        await made.advance(250);
        assert.equal(await a.claim(session, "a", 400), "a");
        await made.advance(250);
        assert.equal(await b.holder(session), "a");
        assert.equal(await b.claim(session, "b", 60_000), "a");
        await made.advance(250);
        assert.equal(await a.holder(session), undefined);
        assert.equal(await b.claim(session, "b", 60_000), "b");
        assert.equal(await a.claim(session, "a", 60_000), "b");
      });
    });

    test("[CLU-5] a claim is given up by its node alone", async () => {
      await using(async (made) => {
        const [a, b] = [made.claims(), made.claims()];
        const session = uniqueId();
        await a.claim(session, "a", 60_000);
        await b.release(session, "b");
        assert.equal(await b.holder(session), "a");
        await a.release(session, "a");
        await a.release(session, "a");
        assert.equal(await b.holder(session), undefined);
        assert.equal(await b.claim(session, "b", 60_000), "b");
      });
    });

    test("[CLU-5] of many who claim at once one holds it, and all learn who", async () => {
      await using(async (made) => {
        const [a, b] = [made.claims(), made.claims()];
        const session = uniqueId();
        const holders = await Promise.all(
          Array.from(
            { length: 10 },
            (_, i) => (i % 2 === 0 ? a : b).claim(session, `${i}`, 60_000),
          ),
        );
        assert.equal(new Set(holders).size, 1);
        assert.equal(await a.holder(session), holders[0]);
      });
    });

    test("[CLU-5] sessions are apart from each other", async () => {
      await using(async (made) => {
        const claims = made.claims();
        const [one, other] = [uniqueId(), uniqueId()];
        await claims.claim(one, "a", 60_000);
        await claims.claim(other, "b", 60_000);
        await claims.release(one, "a");
        assert.equal(await claims.holder(other), "b");
      });
    });
  });
}
