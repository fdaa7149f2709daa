import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { scenarioName, scenarioProblems } from "../../../tools/conformance.ts";

describe("scenarioProblems()", () => {
  const good = { id: "a", status: "SUCCESS" };

  test("accepts passes and information", () => {
    const checks = [good, { id: "b", status: "INFO" }];
    assert.deepEqual(scenarioProblems({ name: "s", checks }), []);
  });

  for (const status of ["FAILURE", "WARNING", "SKIPPED"]) {
    test(`refuses ${status} and says why`, () => {
      const checks = [good, { id: "b", status, errorMessage: "No", details: { seen: 1 } }];
      const [found, ...more] = scenarioProblems({ name: "s", checks });
      assert.match(found ?? "", new RegExp(`^s: ${status} b: No\\n.*"seen":1`));
      assert.deepEqual(more, []);
    });
  }

  test("accepts the one check that the suite skips for every server", () => {
    const skipped = { id: "tasks-status-notifications", status: "SKIPPED" };
    assert.deepEqual(scenarioProblems({ name: "s", checks: [skipped] }), []);
    assert.equal(scenarioProblems({ name: "s", checks: [skipped, good] }).length, 1);
    const failed = { ...skipped, status: "FAILURE" };
    assert.equal(scenarioProblems({ name: "s", checks: [failed] }).length, 1);
  });

  test("refuses a scenario that checked nothing", () => {
    assert.equal(scenarioProblems({ name: "s", checks: [] }).length, 1);
    assert.equal(scenarioProblems({ name: "s", checks: [{ id: "b", status: "INFO" }] }).length, 1);
  });
});

describe("scenarioName()", () => {
  test("removes the suite's prefix and the time", () => {
    assert.equal(
      scenarioName("server-server-sse-polling-2026-11-21T10-33-58-022Z"),
      "server-sse-polling",
    );
    assert.equal(
      scenarioName("server-json-schema-2020-12-2026-11-21T10-33-58-008Z"),
      "json-schema-2020-12",
    );
    assert.equal(scenarioName("notes.txt"), undefined);
  });
});
