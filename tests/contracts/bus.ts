/**
 * What every {@linkcode Bus} must do.
 *
 * @module
 */
import { describe, test } from "node:test";
import assert from "node:assert/strict";
import type { MaybePromise } from "../../src/internal/types.ts";
import type { Bus, BusMember, BusMessage } from "../../src/cluster/types.ts";

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
  readonly member: BusMember;
  readonly heard: number[];
}

function message(n: number): BusMessage {
  return { kind: "application", data: { n } };
}

/** Runs the suite against the buses that `make` makes. */
export function busContract(name: string, make: MakeBus): void {
  async function using(
    run: (join: (hear?: (n: number) => void) => Node, settle: () => Promise<void>) => Promise<void>,
  ): Promise<void> {
    const made = await make();
    const members: BusMember[] = [];
    const join = (hear?: (n: number) => void): Node => {
      const heard: number[] = [];
      const member = made.bus().join((received) => {
        if (received.kind !== "application") return;
        const n = Number(received.data.n);
        heard.push(n);
        hear?.(n);
      });
      members.push(member);
      return { member, heard };
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
        await a.member.publish(message(1));
        await settle();
        assert.deepEqual([a.heard, b.heard, c.heard], [[], [1], [1]]);
      });
    });

    test("messages of one sender arrive in the order in which it published them", async () => {
      await using(async (join, settle) => {
        const [a, b, c] = [join(), join(), join()];
        await settle();
        const numbers = Array.from({ length: 50 }, (_, i) => i);
        await Promise.all(numbers.map((n) => a.member.publish(message(n))));
        await settle();
        assert.deepEqual(b.heard, numbers);
        assert.deepEqual(c.heard, numbers);
      });
    });

    test("every kind of message arrives as it was sent", async () => {
      const messages: BusMessage[] = [
        { kind: "cancel", session: "s", request: 0, reason: "why" },
        { kind: "cancel", session: "s", request: "0" },
        { kind: "reply", session: "s", response: { jsonrpc: "2.0", id: "q", result: { a: [1] } } },
        { kind: "ended", session: "s", reason: "deleted" },
        { kind: "broadcast", notification: { method: "notifications/x", params: { a: "ü" } } },
        { kind: "application", data: { any: { thing: null } } },
      ];
      const made = await make();
      const heard: BusMessage[] = [];
      const listener = made.bus().join((received) => heard.push(received));
      const sender = made.bus().join(() => {});
      try {
        await made.settle();
        for (const each of messages) await sender.publish(each);
        await made.settle();
        assert.deepEqual(heard, messages);
      } finally {
        sender.leave();
        listener.leave();
        await made.close();
      }
    });

    test("who has left hears nothing and tells nothing", async () => {
      await using(async (join, settle) => {
        const [a, b, c] = [join(), join(), join()];
        await settle();
        b.member.leave();
        b.member.leave();
        await settle();
        await a.member.publish(message(1));
        await b.member.publish(message(2));
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
        await a.member.publish(message(1));
        await a.member.publish(message(2));
        await settle();
        assert.deepEqual([b.heard, c.heard], [[1, 2], [1, 2]]);
      });
    });

    test("a listener may publish and leave", async () => {
      await using(async (join, settle) => {
        const a = join();
        const b: Node = join((n) => {
          if (n === 1) {
            void b.member.publish(message(10));
            b.member.leave();
          }
        });
        const c = join();
        await settle();
        await a.member.publish(message(1));
        await settle();
        await a.member.publish(message(2));
        await settle();
        assert.deepEqual(a.heard, [10]);
        assert.deepEqual(b.heard, [1]);
        assert.deepEqual([...c.heard].sort((x, y) => x - y), [1, 2, 10]);
      });
    });
  });
}
