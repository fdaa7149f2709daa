import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  APPLICATION,
  clientProblems,
  SCENARIOS,
  tableProblems,
} from "../../../tools/conformance_gateway.ts";

describe("conformance of a gateway", () => {
  test("[GTW-30] every scenario of the suite runs, or has a reason not to", () => {
    const names = Object.keys(SCENARIOS);
    assert.equal(names.length, 48);
    for (const [name, how] of Object.entries(SCENARIOS)) assert.ok(how.length > 0, name);
    for (const name of Object.keys(APPLICATION)) assert.ok(names.includes(name), name);
    const listing = names.map((name) => `  - ${name} [2025-11-25]\n`).join("");
    assert.deepEqual(tableProblems(listing), []);
    assert.deepEqual(tableProblems(`${listing}  - newer [2026-07-28]\n`), [
      "Say how the scenario runs: newer",
    ]);
    assert.deepEqual(tableProblems(listing.replace("  - sse-retry [2025-11-25]\n", "")), [
      "Remove the scenario, the suite doesn't have it: sse-retry",
    ]);
  });

  test("[GTW-30] failures, warnings and skipped checks are problems", () => {
    const good = { id: "a", status: "SUCCESS" };
    const ok = { id: "b", status: "INFO" };
    const never = "Client sends correct Mcp-Method header on initialize request";
    assert.deepEqual(clientProblems("s", [good, ok]), []);
    assert.deepEqual(
      clientProblems("s", [good, { id: "c", status: "SKIPPED", description: never }]),
      [],
    );
    for (const status of ["FAILURE", "WARNING", "SKIPPED"]) {
      const checks = [good, { id: "c", status, errorMessage: "Why" }];
      assert.deepEqual(clientProblems("s", checks), [`s: ${status} c: Why`]);
    }
    assert.deepEqual(clientProblems("s", []), ["s: No check was made"]);
    assert.deepEqual(clientProblems("s", [ok]), ["s: No check was made"]);
  });
});
