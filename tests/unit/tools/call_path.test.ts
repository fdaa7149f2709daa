import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { callPathOf, callPathSummary, callPathText } from "../../../tools/call_path.ts";

const CALLED = [
  ["src/handler/handler.ts", "serve"],
  ["src/http/gates/order.ts", "pass"],
  ["src/http/body.ts", ""],
  ["src/handler/handler.ts", "route"],
  ["src/auth/identify.ts", "<instance_members_initializer>"],
  ["src/http/respond.ts", "respond"],
  ["src/handler/close.ts", "#end"],
].map(([path = "", name = ""]) => ({ path, name, calls: 1 }));

describe("callPathOf()", () => {
  test("lists each file once, where it is first entered", () => {
    const { files, functions, steps } = callPathOf(CALLED);
    assert.deepEqual([files, functions], [6, 7]);
    assert.deepEqual(steps[0]?.functions, ["serve", "route"]);
    assert.deepEqual(steps.map(({ room }) => room), [
      "handler",
      "http",
      "http",
      "auth",
      "http",
      "handler",
    ]);
  });

  test("counts a room that is entered again after another, sub-folders as part of it", () => {
    const { returns, steps } = callPathOf(CALLED);
    assert.equal(returns, 2);
    assert.deepEqual(steps.filter(({ isReturn }) => isReturn).map(({ path }) => path), [
      "src/http/respond.ts",
      "src/handler/close.ts",
    ]);
  });

  test("counts also without the rooms that all others call", () => {
    const called = ["http/a.ts", "internal/a.ts", "http/b.ts", "protocol/a.ts", "internal/b.ts"]
      .map((path) => ({ path: `src/${path}`, name: "", calls: 1 }));
    const { returns, returnsOfOwners } = callPathOf(called);
    assert.deepEqual([returns, returnsOfOwners], [2, 0]);
  });
});

describe("callPathText()", () => {
  test("makes a Markdown table with the counts below", () => {
    const lines = callPathText(callPathOf(CALLED)).split("\n");
    assert.equal(lines[0], "|   | Room            | File                  | Functions |");
    assert.equal(lines[1], "| - | --------------- | --------------------- | - |");
    assert.equal(lines[4], "| 3 | http            | `http/body.ts`        | (anonymous) |");
    assert.equal(lines[6], "| 5 | http (again)    | `http/respond.ts`     | respond |");
    assert.equal(
      lines.at(-1),
      "6 files, 7 functions, 2 returns to a room that the call had left already, " +
        "2 without `internal` and `protocol`",
    );
  });
});

describe("callPathSummary()", () => {
  test("has the counts and a row for each stay in a room", () => {
    assert.equal(
      callPathSummary(callPathOf(CALLED)),
      `6 files, 7 functions, 2 returns to a room that the call had left already, 2 without \`internal\` and \`protocol\`.

| Room | Files |
| - | - |
| \`handler\` | \`handler.ts\` |
| \`http\` | \`gates/order.ts\`, \`body.ts\` |
| \`auth\` | \`identify.ts\` |
| \`http\`, again | \`respond.ts\` |
| \`handler\`, again | \`close.ts\` |`,
    );
  });
});
