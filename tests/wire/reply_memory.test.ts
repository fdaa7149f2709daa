/**
 * What is left of answers that were streams and are over.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Answer } from "../../src/calls/answer.ts";
import { makeComponents } from "../../src/handler/components.ts";
import { ERAS } from "../../src/handler/eras.ts";
import { settingsOf } from "../../src/handler/settings.ts";
import { Inbound } from "../../src/http/inbound.ts";
import type { Deferred } from "../../src/internal/end_of_turn.ts";
import type { Dispatcher } from "../../src/protocol/exchange.ts";
import { openDirectReply } from "../../src/streams/direct_reply.ts";
import { MemoryEventLog } from "../../src/streams/memory_log.ts";
import { parseEventId } from "../../src/streams/replay.ts";
import { frame } from "../../src/streams/sse.ts";
import { FakeClock } from "../support/clock.ts";
import { routing } from "../support/routes.ts";
import { growthBy } from "./memory.ts";

const BOUND = 2_000_000;
const LIMITS = { events: 256, eventBytes: 1 << 20, retainMs: 60_000 };

function components() {
  const dispatcher: Dispatcher = { route: routing(() => ({})) };
  return makeComponents(dispatcher, settingsOf({}, ERAS), {
    broadcast: () => {},
    route: () => assert.fail(),
  });
}

describe("STR: memory of whole answers", () => {
  test("[STR-4] an answer that is over waits for no end of the turn, which may be far", () => {
    const { calls, streams } = components();
    const deferred: Deferred[] = [];
    const { endOfTurn } = calls;
    const defer = endOfTurn.defer.bind(endOfTurn);
    endOfTurn.defer = (callback) => {
      const work = defer(callback);
      deferred.push(work);
      return work;
    };
    const inbound = new Inbound(new Request("http://localhost/mcp"));
    const open = () => openDirectReply(streams, { share: "a", expiresAt: undefined });
    const answer = new Answer(calls, inbound, open);
    answer.send("{}");
    assert.deepEqual(deferred.map(({ list }) => list !== undefined), [true]);
    answer.deliver("{}");
    assert.deepEqual(deferred.map(({ list }) => list !== undefined), [false]);
    calls.dispose();
    streams.dispose();
  });

  test("[STR-3] no two streams of a session have one name, whichever node they begin on", () => {
    const nodes = [1, 2].map(components);
    // A node's part of a session is dropped when it is unused, and made again.
    const made = [...nodes, ...nodes].map(({ sessions }) => sessions.makeLive("session"));
    const names = made.flatMap((part) => Array.from({ length: 50 }, () => part.nameStream()));
    assert.equal(new Set(names).size, names.length);
    for (const name of names) assert.deepEqual(parseEventId(`${name}.1`), { stream: name, n: 1 });
  });

  for (const size of [10, 400_000]) {
    test(`[SES-6] a dropped session keeps nothing of a whole stream of ${size} characters`, async () => {
      const log = new MemoryEventLog(LIMITS, new FakeClock());
      let n = 0;
      const grown = await growthBy(async () => {
        for (let i = 0; i < 50; i++) {
          // A text of its own each time, of which engines can't keep one for all.
          const data = new TextDecoder().decode(new Uint8Array(size).fill(65 + i % 26));
          log.appendStream(`session${++n}`, "s", frame("s.1", data), 1);
          log.drop(`session${n}`);
        }
      }, BOUND);
      assert.ok(grown < BOUND, `It grew by ${grown} bytes`);
    });

    test(`[STR-7] a name is free again once a whole stream of ${size} characters is gone`, async () => {
      const clock = new FakeClock();
      const log = new MemoryEventLog({ ...LIMITS, events: 1 }, clock);
      log.appendStream("session", "s", frame("s.1", "x".repeat(size)), 1);
      log.append("session", "t", "1");
      await clock.advance(LIMITS.retainMs - 1);
      log.append("session", "s", "new");
      await clock.advance(1);
      assert.equal(log.read("session", "s", 0)?.events.length, 1);
    });
  }
});
