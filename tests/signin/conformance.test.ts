/**
 * The scenarios of the official conformance suite that are for authorization servers.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { commandOf, pinned } from "../../tools/runtimes.ts";
import { Browser } from "../auth/authorization_server.ts";
import { freePort } from "../support/redis.ts";
import { answered } from "./official_clients.ts";
import { withSite } from "./site.ts";

const SUITE = pinned("@modelcontextprotocol/conformance/dist/index.js");
const skip = existsSync(SUITE)
  ? false
  : "CONFORMANCE TESTS SKIPPED: run deno task test once, which installs the suite";

/** A check of the suite. */
interface Check {
  readonly id: string;
  readonly status: string;
  readonly errorMessage?: string;
}

/** Returns the checks in a folder of results. */
async function checksIn(folder: string): Promise<Check[]> {
  const found: Check[] = [];
  for (const entry of await readdir(folder, { recursive: true })) {
    if (!entry.endsWith("checks.json")) continue;
    found.push(...JSON.parse(await readFile(join(folder, entry), "utf8")));
  }
  return found;
}

test(
  "[FRONT-30] the official suite finds nothing wrong with the metadata and a code",
  { skip },
  async () => {
    const port = await freePort();
    const back = `http://127.0.0.1:${port}/callback`;
    await withSite(async ({ origin }) => {
      const folder = await mkdtemp(join(tmpdir(), "conformance-as-"));
      const { program, args } = commandOf("node");
      const suite = spawn(program, [
        ...args,
        SUITE,
        "authorization",
        ...["--url", origin, "--client-id", "conformance", "--port", String(port)],
        ...["--resource", `${origin}/mcp`, "-o", folder],
      ], { stdio: ["ignore", "pipe", "pipe"] });
      try {
        let output = "";
        let visited: Promise<Response> | undefined;
        const take = (piece: string) => {
          output += piece;
          const [url] = /^http\S+\/authorize\?\S+(?=\s)/m.exec(output) ?? [];
          if (url === undefined || visited !== undefined) return;
          // The user opens the address, signs in and allows: the browser goes back to the suite.
          visited = answered(new URL(url), new Browser(), back).then((at) => fetch(at));
          visited.catch((error) => {
            output += String(error);
            suite.kill();
          });
        };
        suite.stdout.setEncoding("utf8").on("data", take);
        suite.stderr.setEncoding("utf8").on("data", take);
        const code = await new Promise((resolve) => suite.once("close", resolve));
        await (await visited)?.body?.cancel();
        const checks = await checksIn(folder);
        assert.equal(code, 0, output);
        assert.deepEqual(checks.map(({ id }) => id).sort(), [
          "authorization-code-grant",
          "authorization-server-metadata",
          "authorization-server-metadata-cimd",
        ], output);
        for (const { id, status, errorMessage } of checks) {
          assert.equal(status, "SUCCESS", `${id}: ${errorMessage}`);
        }
      } finally {
        suite.kill();
        await rm(folder, { recursive: true });
      }
    }, { clients: [{ id: "conformance", redirectUris: [back] }] });
  },
);
