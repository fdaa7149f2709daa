import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { start, type StartedProgram } from "../program.ts";
import { hostScenarios } from "./scenarios.ts";

const HOST = fileURLToPath(new URL("lambda_host.ts", import.meta.url));
const kind = { sessions: false, noticesEnd: false };

describe("examples/hosts/lambda.ts", () => {
  let program: StartedProgram;

  before(async () => {
    program = await start(HOST);
  });

  after(() => program?.kill());

  for (const { name, run } of hostScenarios(kind)) {
    test(name, () => run({ ...kind, url: program.url }));
  }
});
