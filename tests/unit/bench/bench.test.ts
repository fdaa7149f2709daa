import assert from "node:assert/strict";
import { test } from "node:test";
import { withTables } from "../../../bench/docs.ts";
import { expectedOf, regressions } from "../../../bench/expected.ts";
import { gapOf } from "../../../bench/gaps.ts";
import { drawCharts } from "../../../bench/growth_chart.ts";
import { KIND_NAMES, kindOf } from "../../../bench/kinds.ts";
import type { Figure } from "../../../bench/measure.ts";
import { readOptions } from "../../../bench/options.ts";
import { callOf } from "../../../bench/messages.ts";
import { alternate, median, spreadOf } from "../../../bench/pairs.ts";
import { STACK_NAMES } from "../../../bench/stacks/mod.ts";
import { reportOf, tableOf } from "../../../bench/table.ts";
import { missedBy, reaches, targetFor } from "../../../bench/targets.ts";
import { inUnit } from "../../../bench/words.ts";

const ON_DENO = { runtime: "deno", kind: "json" } as const;
const mooring = (value: number): Figure => ({ ...ON_DENO, stack: "mooring", value });

test("without options everything is measured on every runtime, except the floor", () => {
  const options = readOptions([]);
  assert.deepEqual(options.runtimes, ["deno", "bun", "node"]);
  assert.deepEqual(options.kinds, KIND_NAMES);
  assert.deepEqual(options.stacks, STACK_NAMES.filter((name) => name !== "floor"));
  assert.equal(options.json, undefined);
  assert.equal(options.quick, false);
});

test("options narrow what is measured", () => {
  const options = readOptions(["--runtime", "bun,node", "--stack=floor", "--kind", "json,sse"]);
  assert.deepEqual(options.runtimes, ["bun", "node"]);
  assert.deepEqual(options.stacks, ["floor"]);
  assert.deepEqual(options.kinds, ["json", "sse"]);
  assert.equal(readOptions(["--json", "out.json"]).json, "out.json");
});

test("what isn't there can't be measured", () => {
  assert.throws(() => readOptions(["--kind", "json,nothing"]), /kind that there is: nothing/);
  assert.throws(() => readOptions(["--runtime", "toString"]), /runtime that there is/);
  assert.throws(() => readOptions(["--stack", "constructor"]), /stack that there is/);
  assert.throws(() => readOptions(["--fast"]), TypeError);
});

test("quick means Mooring on one runtime, with few kinds", () => {
  const options = readOptions(["--quick", "--check"]);
  assert.deepEqual(options.runtimes, ["deno"]);
  assert.deepEqual(options.stacks, ["mooring"]);
  assert.deepEqual(options.kinds, KIND_NAMES.filter((name) => kindOf(name).quick));
  assert.ok(options.kinds.includes("json") && options.kinds.length < KIND_NAMES.length);
  assert.ok(options.check);
  assert.deepEqual(readOptions(["--quick", "--runtime", "node"]).runtimes, ["node"]);
});

test("two processes take turns, each going first as often as the other", async () => {
  const order: string[] = [];
  const slicer = (name: string) => () => Promise.resolve(order.push(name));
  const pairs = await alternate(slicer("a"), slicer("b"), 3);
  assert.equal(order.join(""), "abbaab");
  assert.deepEqual(pairs, [
    { subject: 1, reference: 2 },
    { subject: 4, reference: 3 },
    { subject: 5, reference: 6 },
  ]);
});

test("the median is that of numbers, not of texts", () => {
  assert.equal(median([10, 9, 1]), 9);
  assert.equal(median([10, 2, 1, 9]), 5.5);
  assert.ok(Number.isNaN(median([])));
});

test("the spread leaves out what lies far outside", () => {
  assert.equal(spreadOf([8, 9, 10, 11, 12]), 0.1);
  assert.equal(spreadOf([1, 9, 10, 11, 90]), 0.1);
  assert.equal(spreadOf([5]), 0);
});

test("a table has a row for each kind, a column for each server, and marks", () => {
  const figures: Figure[] = [
    mooring(0.81),
    { ...ON_DENO, stack: "sdk-v1", value: 0.0812 },
    { runtime: "deno", stack: "mooring", kind: "modern", value: 0.79 },
    { runtime: "deno", stack: "mooring", kind: "http", value: 0.9, perCpu: 0.87, p99: 1.234 },
    { runtime: "bun", stack: "mooring", kind: "sse", value: 0.1 },
  ];
  const lines = tableOf("deno", figures).split("\n").map((line) => line.replace(/ +/g, " "));
  assert.deepEqual(lines, [
    "| deno | Mooring | SDK v1 |",
    `| ${"-".repeat(59)} | ------: | -----: |`,
    "| `tools/call` in a session, as JSON | 81 % ✓ | 8.1 % |",
    "| `tools/call` of 2026-07-28 | 79 % ✗ | – |",
    "| `tools/call` over HTTP, 64 connections: requests/s | 90 % ✓ | – |",
    "| `tools/call` over HTTP, 64 connections: requests/CPU second | 87 % | – |",
    "| `tools/call` over HTTP, 64 connections: p99 | × 1.23 | – |",
  ]);
});

test("a report says why a figure is missing, and what was missed", () => {
  const report = reportOf("deno", [
    { ...mooring(0.5), spread: 0.02 },
    { ...ON_DENO, stack: "sdk-v1", value: 0.1, spread: 0.04 },
    { runtime: "deno", stack: "mooring", kind: "modern", value: 0.9, spread: 0.03 },
  ]);
  assert.match(report, /- SDK v1 does not speak 2026-07-28 \(modern\)/);
  assert.match(report, /- `tools\/call` in a session, as JSON: 50 % instead of 80 %/);
  assert.match(report, /5\.0 × SDK v1 instead of 6 ×/);
  assert.match(report, /± 3\.0 % of a figure; of the worst, ± 4 %/);
});

test("a rate is to be high, a cost low", () => {
  assert.equal(targetFor("bun", "json"), 0.7);
  assert.equal(reaches(mooring(0.8)), true);
  assert.equal(reaches(mooring(0.79)), false);
  const cost: Figure = { runtime: "bun", stack: "mooring", kind: "session-heap", value: 1_536 };
  assert.equal(reaches(cost), true);
  assert.equal(reaches({ ...cost, value: 1_537 }), false);
  assert.equal(reaches({ ...cost, stack: "sdk-v1" }), undefined);
  assert.equal(reaches({ ...cost, kind: "list-1" }), undefined);
});

test("rivals are compared in rates alone, and with progress all of them", () => {
  const value = 0.9;
  const rivals = (kind: Figure["kind"], rival: number): string[] =>
    missedBy("node", [
      { runtime: "node", stack: "mooring", kind, value },
      { runtime: "node", stack: "tmcp", kind, value: rival },
      { runtime: "node", stack: "sdk-v1", kind, value: 0.8 },
    ]);
  assert.deepEqual(rivals("json", 1), []);
  assert.equal(rivals("progress", 1).length, 1);
  assert.deepEqual(rivals("progress", 0.85), []);
  assert.deepEqual(rivals("live-10000", 1), []);
});

test("a figure that falls far behind is a regression, one that varies is none", () => {
  const expected = { deno: { "json": 0.8, "session-heap": 1_000 } };
  assert.deepEqual(regressions([mooring(0.65)], expected), []);
  assert.deepEqual(regressions([mooring(0.63)], expected), [
    "deno: `tools/call` in a session, as JSON: 63 % instead of 80 %",
  ]);
  const heap: Figure = { ...mooring(1_290), kind: "session-heap" };
  assert.deepEqual(regressions([heap], expected), []);
  assert.equal(regressions([{ ...heap, value: 1_310 }], expected).length, 1);
  assert.deepEqual(regressions([{ ...mooring(0.1), runtime: "bun" }], expected), []);
  assert.deepEqual(regressions([{ ...mooring(0.1), stack: "tmcp" }], expected), []);
});

test("what is expected is what Mooring reached", () => {
  const figures = [mooring(0.81234), { ...mooring(0.1), stack: "tmcp" } satisfies Figure];
  assert.deepEqual(expectedOf(figures), { deno: { json: 0.812 } });
});

test("every server has a reason for what it can't do, and Mooring needs none", () => {
  assert.equal(gapOf("mcp-lite", "modern"), "does not speak 2026-07-28");
  assert.equal(gapOf("sdk-v2", "json"), "makes a server for each request and has no sessions");
  assert.ok(KIND_NAMES.every((kind) => gapOf("mooring", kind) === undefined));
});

test("figures are said in their unit", () => {
  assert.equal(inUnit(0.0812, "floor"), "8.1 %");
  assert.equal(inUnit(1.2, "http"), "120 %");
  assert.equal(inUnit(207.7, "floor"), "208 ×");
  assert.equal(inUnit(1_536, "bytes"), "1.5 KiB");
  assert.equal(inUnit(4.25, "pause"), "4.3 ms");
  assert.equal(inUnit(NaN, "floor"), "–");
});

test("tables take the place of those that were there", () => {
  const page = "a\n<!-- tables -->\nold\n<!-- end of tables -->\nb\n";
  const renewed = withTables(page, "tables", "new");
  assert.equal(renewed, "a\n<!-- tables -->\n\nnew\n\n<!-- end of tables -->\nb\n");
  assert.equal(withTables(renewed, "tables", "new"), renewed);
  assert.throws(() => withTables(page, "others", "new"), TypeError);
});

test("curves are drawn within the picture, with a line for each runtime", () => {
  const lines = [{ name: "deno", points: [1, 1.2, 6] }, { name: "<bun>", points: [1, 1, 1] }];
  const picture = drawCharts([{ title: "tools", unit: "one", steps: [1, 10, 1_000], lines }]);
  const [, ...points] = picture.match(/points="[^"]*"|viewBox="[^"]*"/g) ?? [];
  assert.equal(points.length, 2);
  for (const [x, y] of points.join(" ").matchAll(/([\d.]+),([\d.]+)/g).map((m) => [m[1], m[2]])) {
    assert.ok(Number(x) >= 0 && Number(x) <= 760 && Number(y) >= 0 && Number(y) <= 220);
  }
  assert.match(picture, /1,000/);
  assert.match(picture, /× one</);
  assert.doesNotMatch(picture, /<bun>/);
});

test("no two calls have the same body, and both eras' have the same arguments", () => {
  const call = { name: "add", arguments: { a: 2, b: 3 }, varies: "a" };
  const [first, second] = [1, 2].map((n) => JSON.parse(callOf(call, n)));
  assert.deepEqual([first.id, first.params.arguments], [1, { a: 1, b: 3 }]);
  assert.deepEqual([second.id, second.params.arguments], [2, { a: 2, b: 3 }]);
  const modern = JSON.parse(callOf(call, 1, true));
  assert.deepEqual(modern.params.arguments, first.params.arguments);
  assert.ok("_meta" in modern.params);
});
