import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { start, type StartedProgram } from "../program.ts";
import { hostScenarios } from "./scenarios.ts";

const headers = { "x-api-key": "demo-key" };

describe("examples/hosts/express.ts", () => {
  let program: StartedProgram;

  before(async () => {
    program = await start("hosts/express.ts");
  });

  after(() => program?.kill());

  for (const { name, run } of hostScenarios({ headers })) {
    test(name, () => run({ url: program.url, headers }));
  }

  test("[HOST-5] keeps the app's own routes, and takes a slash at the end", async () => {
    const index = await fetch(new URL("/", program.url));
    assert.match(await index.text(), /^The endpoint is at /);
    const slash = await fetch(`${program.url}/`, { method: "DELETE", headers });
    assert.equal(slash.status, 400);
    await slash.body?.cancel();
  });

  test("[END-1] stops when asked to", async () => {
    assert.equal(await program.stop(), 0, program.output());
  });
});
