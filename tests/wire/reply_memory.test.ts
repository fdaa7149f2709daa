/**
 * What is left of answers that were streams and are over.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ANONYMOUS } from "../../src/auth/authenticate.ts";
import { Answer } from "../../src/handler/answer.ts";
import type { CallInit } from "../../src/handler/call.ts";
import { openDirectStream } from "../../src/handler/direct_stream.ts";
import { Endpoint } from "../../src/handler/endpoint.ts";
import { LiveSession } from "../../src/handler/live_session.ts";
import { settingsOf } from "../../src/handler/options.ts";
import type { TurnWait } from "../../src/internal/turn.ts";
import type { Dispatcher } from "../../src/protocol/exchange.ts";
import { MemoryEventLog } from "../../src/streams/memory_log.ts";
import { parseEventId } from "../../src/streams/replay.ts";
import { frame } from "../../src/streams/sse.ts";
import { FakeClock } from "../support/clock.ts";
import { growthBy } from "./memory.ts";

const BOUND = 2_000_000;
const LIMITS = { events: 256, eventBytes: 1 << 20, retainMs: 60_000 };

describe("STR: memory of whole answers", () => {
  test("[STR-4] an answer that is over waits for no end of the turn, which may be far", () => {
    const dispatcher: Dispatcher = { dispatch: () => ({}) };
    const endpoint = new Endpoint(dispatcher, settingsOf({}), () => {});
    const waits: TurnWait[] = [];
    const { turn } = endpoint;
    const end = turn.end.bind(turn);
    turn.end = (callback) => {
      const wait = end(callback);
      waits.push(wait);
      return wait;
    };
    const init: CallInit = {
      endpoint,
      request: new Request("http://localhost/mcp"),
      principal: ANONYMOUS,
      owner: "a",
      session: undefined,
      version: "2025-11-25",
      client: { capabilities: {} },
      json: true,
      hidden: undefined,
    };
    const answer = new Answer(
      init,
      () => openDirectStream(endpoint, { owner: "a", expiresAt: undefined }),
    );
    answer.send("{}");
    assert.deepEqual(waits.map(({ list }) => list !== undefined), [true]);
    answer.deliver("{}");
    assert.deepEqual(waits.map(({ list }) => list !== undefined), [false]);
    endpoint.dispose();
  });

  test("[STR-3] no two streams of a session have one name, whichever node they begin on", () => {
    const nodes = [1, 2].map(() =>
      new Endpoint({ dispatch: () => ({}) }, settingsOf({}), () => {})
    );
    // What a node knows of a session is forgotten where nobody uses it, and made anew.
    const parts = [...nodes, ...nodes].map((node) => new LiveSession(node, "session"));
    const names = parts.flatMap((part) => Array.from({ length: 50 }, () => part.nameStream()));
    assert.equal(new Set(names).size, names.length);
    for (const name of names) assert.deepEqual(parseEventId(`${name}.1`), { stream: name, n: 1 });
    for (const node of nodes) node.dispose();
  });

  for (const size of [10, 400_000]) {
    test(`[SES-6] a dropped session keeps nothing of a whole stream of ${size} characters`, async () => {
      const log = new MemoryEventLog(LIMITS, new FakeClock());
      let n = 0;
      const grown = await growthBy(async () => {
        for (let i = 0; i < 50; i++) {
          // A text of its own each time, of which engines can't keep one for all.
          const data = new TextDecoder().decode(new Uint8Array(size).fill(65 + i % 26));
          log.addWhole(`session${++n}`, "s", frame("s.1", data), 1);
          log.drop(`session${n}`);
        }
      }, BOUND);
      assert.ok(grown < BOUND, `It grew by ${grown} bytes`);
    });

    test(`[STR-7] a name is free again once a whole stream of ${size} characters is gone`, async () => {
      const clock = new FakeClock();
      const log = new MemoryEventLog({ ...LIMITS, events: 1 }, clock);
      log.addWhole("session", "s", frame("s.1", "x".repeat(size)), 1);
      log.append("session", "t", "1");
      await clock.advance(LIMITS.retainMs - 1);
      log.append("session", "s", "new");
      await clock.advance(1);
      assert.equal(log.read("session", "s", 0)?.events.length, 1);
    });
  }
});
