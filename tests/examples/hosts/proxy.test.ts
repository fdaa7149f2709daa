import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { request } from "node:http";
import { after, before, describe, test } from "node:test";
import { isInstalled, PROXIES, type RunningProxy, startProxy } from "../../support/proxy.ts";
import { start, type StartedProgram } from "../program.ts";
import { hostScenarios } from "./scenarios.ts";

const EXAMPLES = new URL("../../../examples/hosts/", import.meta.url);
const headers = { "x-api-key": "demo-key" };

for (const proxy of PROXIES) {
  const skip = isInstalled(proxy) ? false : `There is no ${proxy.program}`;
  describe(`examples/hosts/${proxy.file}`, { skip }, () => {
    let program: StartedProgram;
    let front: RunningProxy;

    before(async () => {
      program = await start("hosts/fastify.ts");
      const example = await readFile(new URL(proxy.file, EXAMPLES), "utf8");
      const { host } = new URL(program.url);
      front = await startProxy(
        proxy,
        (port) => example.replaceAll("127.0.0.1:8000", host).replaceAll(":8080", `:${port}`),
        headers,
      );
    });

    after(async () => {
      await front?.kill();
      await program?.kill();
    });

    for (const { name, run } of hostScenarios({ headers })) {
      test(name, () => run({ url: front.url, headers }));
    }

    test("[HOST-5] a host that isn't allowed is refused by the endpoint", async () => {
      const sent = request(front.url, { headers: { ...headers, host: "evil.example" } }).end();
      const [response] = await once(sent, "response");
      response.resume();
      assert.equal(response.statusCode, 403);
    });
  });
}
