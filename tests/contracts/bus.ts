/**
 * What every {@linkcode Bus} must do.
 *
 * @module
 */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import type { MaybePromise } from "../../src/internal/types.ts";
import type { Bus, BusMember } from "../../src/cluster/types.ts";
import { uniqueId } from "./unique.ts";

/** A bus under test. */
export interface BusUnderTest {
  /** The bus as each of the nodes sees it: one and the same in memory, one for each node elsewhere. */
  bus(): Bus;
  /** Lets everything arrive that was published. */
  settle(): MaybePromise<void>;
  close(): MaybePromise<void>;
}

/** Makes a bus that nobody has joined. */
export type MakeBus = () => MaybePromise<BusUnderTest>;

interface Node {
  readonly id: string;
  readonly member: BusMember;
  readonly heard: number[];
}

/**
 * Runs the suite against the buses that `make` makes.
 *
 * @param certain Whether such a bus can be certain that a node receives nothing
 */
export function busContract(name: string, make: MakeBus, certain = true): void {
  async function using(
    run: (join: (hear?: (n: number) => void) => Node, settle: () => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const made = await make();
    const members: BusMember[] = [];
    const join = (hear?: (n: number) => void): Node => {
      const heard: number[] = [];
      const id = uniqueId();
      const member = made.bus().join(id, (text) => {
        const n = Number(text);
        heard.push(n);
        hear?.(n);
      });
      members.push(member);
      return { id, member, heard };
    };
    try {
      await made.settle();
      await run(join, async () => await made.settle());
    } finally {
      for (const member of members) member.leave();
      await made.close();
    }
  }

  describe(`${name}`, () => {
    test("every other node hears a message once, the sender never", async () => {
      await using(async (join, settle) => {
        const [a, b, c] = [join(), join(), join()];
        await settle();
        await a.member.publish("1");
        await settle();
        assert.deepEqual([a.heard, b.heard, c.heard], [[], [1], [1]]);
      });
    });

    test("messages of one sender arrive in the order in which it published them", async () => {
      await using(async (join, settle) => {
        const [a, b, c] = [join(), join(), join()];
        await settle();
        const numbers = Array.from({ length: 50 }, (_, i) => i);
        await Promise.all(numbers.map((n) => a.member.publish(String(n))));
        await settle();
        assert.deepEqual(b.heard, numbers);
        assert.deepEqual(c.heard, numbers);
      });
    });

    test("any text arrives as it was sent, a large one too", async () => {
      const texts = ["", "\0\r\n", '{"a":"ü😀\u2028"}', "__proto__", "x".repeat(2 ** 20)];
      const made = await make();
      const heard: string[] = [];
      const listener = made.bus().join("listener", (text) => heard.push(text));
      const sender = made.bus().join("sender", () => {});
      try {
        await made.settle();
        for (const text of texts) await sender.publish(text);
        for (const text of texts) await sender.send("listener", text);
        await made.settle();
        assert.deepEqual(heard, [...texts, ...texts]);
      } finally {
        sender.leave();
        listener.leave();
        await made.close();
      }
    });

    test("what is sent to one node that node alone hears, in order with what is published", async () => {
      await using(async (join, settle) => {
        const [a, b, c] = [join(), join(), join()];
        await settle();
        const sent = await Promise.all([
          a.member.send(b.id, "1"),
          a.member.publish("2"),
          a.member.send(b.id, "3"),
          a.member.send(c.id, "4"),
          a.member.publish("5"),
        ]);
        await settle();
        assert.deepEqual(sent, [true, undefined, true, true, undefined]);
        assert.deepEqual([a.heard, b.heard, c.heard], [[], [1, 2, 3, 5], [2, 4, 5]]);
      });
    });

    test("sending to nobody is known to have failed, where it can be known", async () => {
      await using(async (join, settle) => {
        const [a, b] = [join(), join()];
        await settle();
        assert.equal(await a.member.send(uniqueId(), "1"), !certain);
        assert.equal(await a.member.send("__proto__", "1"), !certain);
        b.member.leave();
        await settle();
        assert.equal(await a.member.send(b.id, "2"), !certain);
        await settle();
        assert.deepEqual(b.heard, []);
      });
    });

    test("who has left hears nothing and tells nothing", async () => {
      await using(async (join, settle) => {
        const [a, b, c] = [join(), join(), join()];
        await settle();
        b.member.leave();
        b.member.leave();
        await settle();
        await a.member.publish("1");
        await b.member.publish("2");
        await settle();
        assert.deepEqual([a.heard, b.heard, c.heard], [[], [], [1]]);
      });
    });

    test("a listener that throws stops neither the others nor later messages", async () => {
      await using(async (join, settle) => {
        const a = join();
        const b = join(() => {
          throw new Error("no");
        });
        const c = join();
        await settle();
        await a.member.publish("1");
        await a.member.publish("2");
        await settle();
        assert.deepEqual([b.heard, c.heard], [[1, 2], [1, 2]]);
      });
    });

    test("a listener may publish and leave", async () => {
      await using(async (join, settle) => {
        const a = join();
        const b: Node = join((n) => {
          if (n === 1) {
            void b.member.publish("10");
            b.member.leave();
          }
        });
        const c = join();
        await settle();
        await a.member.publish("1");
        await settle();
        await a.member.publish("2");
        await settle();
        assert.deepEqual(a.heard, [10]);
        assert.deepEqual(b.heard, [1]);
        assert.deepEqual([...c.heard].sort((x, y) => x - y), [1, 2, 10]);
      });
    });
  });
}
