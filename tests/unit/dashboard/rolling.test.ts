import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { mergedHistory, mergedNodes } from "../../../src/dashboard/assets/rows.js";
import type { NodeRow } from "../../../src/dashboard/mod.ts";
import {
  CallsOfMinute,
  History,
  LastMinute,
  SLOT_MS,
  SLOTS,
  ToolHour,
} from "../../../src/dashboard/operator/rolling.ts";

const START = 1_700_000_040_500;

describe("the operator's last minute", () => {
  test("[OPR-11] it is the current second and the 59 before it, whenever it is asked for", () => {
    const refusals = new LastMinute();
    const calls = new CallsOfMinute();
    for (let second = 0; second < 200; second++) {
      const now = START + second * 1_000;
      refusals.add(now);
      calls.add(now, second % 2 === 0, 3);
      const expected = Math.min(60, second + 1);
      assert.equal(refusals.sum(now), expected);
      const { count, errors, buckets } = calls.sum(now);
      assert.deepEqual([count, buckets[3]], [expected, expected]);
      assert.equal(errors, second < 60 ? Math.floor(second / 2) + 1 : 30);
    }
    const last = START + 199_000;
    for (const [later, left] of [[1, 59], [30, 30], [59, 1], [60, 0], [4_000, 0]] as const) {
      assert.equal(refusals.sum(last + later * 1_000), left);
      assert.equal(calls.sum(last + later * 1_000).count, left);
    }
  });

  test("[OPR-11] an hour is kept in points of 15 seconds, and no more of it", () => {
    let sessions = 0;
    const history = new History(() => ({ sessions, calls: 1, streams: 2 }));
    const first = Math.floor(START / SLOT_MS) * SLOT_MS;
    for (let slot = 0; slot < SLOTS + 100; slot++) {
      sessions = slot;
      history.addCall(first + slot * SLOT_MS, slot % 10 === 0, undefined);
      history.addRequest(first + slot * SLOT_MS + 14_999);
    }
    const now = first + (SLOTS + 99) * SLOT_MS;
    const points = history.points(now);
    assert.equal(points.length, SLOTS);
    assert.equal(points[0]?.at, first + 100 * SLOT_MS);
    assert.ok(points.every(({ count, requests }) => count === 1 && requests === 1));
    assert.equal(points.at(-1)?.gauges.sessions, SLOTS + 99);
    // What was kept long before an idle time is gone as well.
    assert.equal(history.points(now + 2 * SLOTS * SLOT_MS).length, 1);
  });

  test("[OPR-11] points of nodes are summed up, and quiet nodes keep what they had", () => {
    const row = { endpoint: "", errors: 0, requests: 0, buckets: [], calls: 0, streams: 0 };
    const at = 15_000_000;
    const points = mergedHistory([
      { ...row, key: "a1", node: "a", at, count: 2, sessions: 3, buckets: [0, 2] },
      { ...row, key: "b1", node: "b", at, count: 1, sessions: 4, buckets: [1] },
      { ...row, key: "b2", node: "b", at: at + 30_000, count: 5, sessions: 1 },
    ], at + 44_000);
    assert.deepEqual(points.map(({ count, sessions }) => [count, sessions]), [[3, 7], [0, 7], [
      5,
      4,
    ]]);
    assert.deepEqual(points[0]?.buckets, [1, 2]);
  });

  test("[OPR-14] a tool's last hour has its minutes with calls", () => {
    const hour = new ToolHour();
    for (let minute = 0; minute < 90; minute++) {
      if (minute % 3 === 0) hour.add(START + minute * 60_000, minute === 87, 5);
    }
    const minutes = hour.minutes(START + 89 * 60_000);
    assert.equal(minutes.length, 20);
    assert.deepEqual(minutes.map(({ errors }) => errors).join(""), "00000000000000000001");
  });
});

test("[OPR-12] a process is one row, with its endpoints inside", () => {
  const row = (node: string, endpoint: string, more: Partial<NodeRow>): NodeRow => ({
    ...{ key: `${endpoint}/${node}`, endpoint, node, state: "healthy", self: node === "a" },
    ...{ drainingAll: false, sessions: 1, calls: 2, streams: 3, watchedSince: 9, seenAt: 0 },
    minute: { count: 1, errors: 1, requests: 2, buckets: [1, 0, 1] },
    ...more,
  });
  const nodes = mergedNodes([
    row("a", "/mcp", { watchedSince: 5 }),
    row("a", "/servers/x", { state: "draining" }),
    row("b", "/mcp", {}),
  ]);
  assert.deepEqual(
    nodes.map(({ node, state, sessions, calls, streams, watchedSince, endpoints }) => [
      ...[node, state, sessions, calls, streams, watchedSince],
      endpoints.map(({ endpoint }) => endpoint).join(" "),
    ]),
    [
      ["a", "draining", 2, 4, 6, 5, "/mcp /servers/x"],
      ["b", "healthy", 1, 2, 3, 9, "/mcp"],
    ],
  );
  assert.deepEqual(nodes[0]?.minute, { count: 2, errors: 2, requests: 4, buckets: [2, 0, 2] });
});
