import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Call } from "../../../src/calls/call.ts";
import { MOST_TOOLS, Statistics } from "../../../src/dashboard/operator/statistics.ts";
import type { RequestTarget } from "../../../src/protocol/route.ts";

/** A finished call, as far as it is counted. */
function callOf(method: string, name: string, target?: RequestTarget): Call {
  return {
    ...{ method, params: { name }, target, served: false, begunAt: 0, serial: 1 },
    ...{ principal: { id: "ada" }, client: {} },
  } as unknown as Call;
}

describe("the operator's table of tools", () => {
  test("[OPR-6] names that there are not are one row, and push nothing out", () => {
    const statistics = new Statistics({ now: () => 0 });
    statistics.finished(callOf("tools/call", "real", { tool: "real" }), "result", false);
    for (let call = 0; call < 3_000; call++) {
      statistics.finished(callOf("tools/call", `made-up-${call}`), "error", true);
      statistics.finished(callOf("prompts/get", `made-up-${call}`), "error", true);
      statistics.finished(callOf(`made/up-${call}`, ""), "error", true);
    }
    const rows = [...statistics.tools.values()].map(({ method, tool, count }) => [
      method,
      tool,
      count,
    ]);
    assert.deepEqual(rows, [
      ["tools/call", "real", 1],
      ["tools/call", "(unknown)", 3_000],
      ["prompts/get", "(unknown)", 3_000],
      ["(unknown)", "", 3_000],
    ]);
  });

  test("[OPR-6] of too many real names the rarest is forgotten", () => {
    const statistics = new Statistics({ now: () => 0 });
    for (let call = 0; call <= MOST_TOOLS; call++) {
      const tool = `tool${call}`;
      const times = call === 7 ? 1 : 2;
      for (let time = 0; time < times; time++) {
        statistics.finished(callOf("tools/call", tool, { tool }), "result", false);
      }
    }
    assert.equal(statistics.tools.size, MOST_TOOLS);
    assert.ok(![...statistics.tools.values()].some(({ tool }) => tool === "tool7"));
  });
});
