/**
 * What `mooring doctor` says of each client.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { type ConnectorFacts, judgeClients, KNOWN_CLIENTS } from "../../src/cli/doctor/clients.ts";
import type { Finding } from "../../src/cli/doctor/finding.ts";

const FACTS: ConnectorFacts = {
  findings: [],
  isPublic: true,
  isSecure: true,
  registration: ["dynamic registration", "client ID metadata document"],
};

/** Returns why clients can't connect, by their names. */
function refused(facts: Partial<ConnectorFacts>): Record<string, string | undefined> {
  return Object.fromEntries(
    judgeClients({ ...FACTS, ...facts }).flatMap(({ name, connects, because }) =>
      connects ? [] : [[name, because]]
    ),
  );
}

const finding = (step: string, outcome: Finding["outcome"]): Finding => ({
  step,
  outcome,
  says: "As the test says",
});

describe("the clients that mooring doctor knows", () => {
  test("[CMD-31] all connect to a server without a fault, with a login and without", () => {
    assert.deepEqual(refused({}), {});
    assert.deepEqual(refused({ registration: undefined }), {});
  });

  test("[CMD-31] those in a cloud need a public address and https:", () => {
    const cloud = ["Claude", "ChatGPT"];
    assert.deepEqual(Object.keys(refused({ isPublic: false })), cloud);
    assert.deepEqual(Object.keys(refused({ isSecure: false })), cloud);
  });

  test("[CMD-31] a client that can't use the way to an id has to be given one", () => {
    const because = "it needs dynamic registration, or an id of its own";
    assert.deepEqual(refused({ registration: ["client ID metadata document"] }), {
      "Cursor": because,
      "Gemini CLI": because,
    });
    assert.deepEqual(refused({ registration: ["dynamic registration"] }), {});
  });

  test("[CMD-31] a failed step stops all, a warning those that it is about", () => {
    const failed = refused({ findings: [finding("tools", "failed")] });
    assert.deepEqual(failed, Object.fromEntries(KNOWN_CLIENTS.map(({ name }) => [name, "tools"])));
    assert.deepEqual(refused({ findings: [finding("pages", "warning")] }), {
      "Web applications": "pages",
    });
    assert.deepEqual(refused({ findings: [finding("bodies", "warning")] }), {});
  });

  test("[CMD-31] docs/clients.md has the same table, with its sources", async () => {
    const page = await readFile(new URL("../../docs/clients.md", import.meta.url), "utf8");
    const [, section = ""] = page.split("## How they sign in");
    const rows = [...section.split("\n## ")[0]?.matchAll(/^\| (.*) \|$/gm) ?? []].slice(2)
      .map(([, row = ""]) => row.split("|").map((cell) => cell.trim()));
    assert.deepEqual(
      rows,
      KNOWN_CLIENTS.filter(({ source }) => source !== undefined)
        .map(({ name, place, registers, callback, source, isObserved }) => [
          name,
          place,
          registers.join(", "),
          callback === undefined ? "" : `\`${callback}\``,
          isObserved === true ? `[observed, third party](${source})` : `[source](${source})`,
        ]),
    );
  });
});
