import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import example from "../../../examples/hosts/deno.ts";
import { connect } from "../../../src/testing/mod.ts";
import { runtime, startCommand, type StartedProgram } from "../program.ts";
import { hostScenarios } from "./scenarios.ts";

const FILE = fileURLToPath(new URL("../../../examples/hosts/deno.ts", import.meta.url));
const kind = { sessions: false };

describe("examples/hosts/deno.ts", () => {
  test("[HOST-5] exports a function that answers, on every runtime", async () => {
    const info = { remoteAddr: {}, completed: Promise.resolve() } as Deno.ServeHandlerInfo;
    const client = await connect(async (request) => await example.fetch(request, info));
    const { structuredContent } = await client.callTool("add", { a: 2, b: 3 });
    assert.deepEqual(structuredContent, { sum: 5 });
    await client.close();
  });

  // `deno serve` is a command of Deno.
  if (runtime === "deno") {
    let program: StartedProgram;

    before(async () => {
      program = await startCommand(["serve", "-A", "--no-check", "--port=0", FILE]);
    });

    after(() => program?.kill());

    for (const { name, run } of hostScenarios(kind)) {
      test(name, () => run({ ...kind, url: `${program.url}mcp` }));
    }
  }
});
