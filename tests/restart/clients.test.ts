/**
 * The official clients, whose server is killed and started again.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ClientKind } from "../clients/client.ts";
import { sdkV1 } from "../clients/sdk_v1.ts";
import { sdkV2, sdkV2Auto } from "../clients/sdk_v2.ts";
import { HERE, RestartedServer } from "../clients/restarts.ts";

/** A call that fails, and what a client says about it. */
const LOST = /Session not found/;

/** What the next three calls bring, by where sessions are kept. The same rows are in docs/clients.md. */
const ROWS: readonly (readonly [ClientKind, string, memory: RegExp[], file: RegExp[]])[] = [
  [sdkV1, "2025-11-25", [LOST, LOST, LOST], [/^2 ada$/, /^3 ada$/, /^4 ada$/]],
  [sdkV2, "2025-11-25", [LOST, LOST, LOST], [/^2 ada$/, /^3 ada$/, /^4 ada$/]],
  // Without sessions there is nothing to lose
  [sdkV2Auto, "2026-07-28", [/^1 ada$/, /^1 ada$/, /^1 ada$/], [/^1 ada$/, /^1 ada$/, /^1 ada$/]],
];

describe("official clients, after their server was killed and started again", () => {
  for (const [kind, version, inMemory, inFile] of ROWS) {
    for (const [sessions, expected] of [["memory", inMemory], ["file", inFile]] as const) {
      test(`[DUR-20] ${kind.name} with sessions in ${sessions}`, async () => {
        await using server = await RestartedServer.start(sessions, HERE);
        const init = { url: server.url, headers: { "x-user": "ada" } };
        const client = await kind.connect(init);
        try {
          assert.equal(client.protocolVersion, version);
          assert.equal((await client.call("count")).text, "1 ada");
          await server.restart();
          for (const pattern of expected) {
            const said = await client.call("count").then(({ text }) => text, (error) => {
              // As docs/sessions.md says
              assert.equal(kind === sdkV1 ? error.code : error.status, 404);
              return String(error);
            });
            assert.match(said, pattern);
          }
        } finally {
          await client.close();
        }
        // What the page says to do: connect again
        const again = await kind.connect(init);
        try {
          assert.equal((await again.call("count")).text, "1 ada");
        } finally {
          await again.close();
        }
      });
    }
  }
});
