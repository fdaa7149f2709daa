import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { parseConfig } from "../../src/cli/config/config.ts";
import { policyOf } from "../../src/cli/config/policy.ts";
import { Policies } from "../../src/gateway/policy/policies.ts";

const env = { ADA_TOKEN: "token-of-ada-0123", BOB_TOKEN: "token-of-bob-0123" };

/** The configurations on the page, in order. */
async function configurations(): Promise<string[]> {
  const page = await readFile(new URL("../../docs/policy.md", import.meta.url), "utf8");
  return [...page.matchAll(/```json\n([^]*?)```/g)].map(([, text = ""]) => text);
}

test("[POL-9] the page begins with a policy under which nobody deletes, and Bob only reads", async () => {
  const [text = ""] = await configurations();
  const { config } = parseConfig({ file: "mooring.json", text, env });
  const policies = new Policies(policyOf(config));
  const allowed = (tool: string) =>
    ["ada", "bob"].map((id) => policies.rulesOf({ id, scopes: [] }, "files")?.tools.allows(tool));
  assert.deepEqual(allowed("read_file"), [true, true]);
  assert.deepEqual(allowed("write_file"), [true, false]);
  assert.deepEqual(allowed("delete_file"), [false, false]);
});

test("[POL-9] the configuration of docs/policy.md says what the page says", async () => {
  const [, text = ""] = await configurations();
  const { config } = parseConfig({ file: "mooring.json", text, env });
  const policies = new Policies(policyOf(config));
  const rulesOf = (id: string, server: string, scopes: string[] = []) =>
    policies.rulesOf({ id, scopes }, server);
  const ada = rulesOf("ada", "files");
  const bob = rulesOf("bob", "files");
  assert.ok(ada !== undefined && bob !== undefined);
  const allowed = (tool: string) => [ada.tools.allows(tool), bob.tools.allows(tool)];
  assert.deepEqual(allowed("read_file"), [true, true]);
  assert.deepEqual(allowed("write_file"), [true, false]);
  assert.deepEqual(allowed("delete_file"), [false, false]);
  assert.deepEqual([ada.prompts.isClosed, bob.prompts.isClosed], [false, true]);
  assert.equal(ada.tools.ownName("read"), "read_file");
  assert.equal(ada.resources.allows("FILE:///srv/team/./private/%61"), false);
  const use = ada.tools.useOf("write_file");
  assert.deepEqual(use?.fixed, { root: "/srv/team" });
  assert.deepEqual([...use?.withheld ?? []], ["root", "debug"]);
  assert.equal(use?.needsApproval, true);
  assert.equal(use?.limiters.length, 1);
  assert.equal(rulesOf("ada", "tickets")?.isClosed, true);
  assert.equal(rulesOf("ada", "tickets", ["tickets"])?.isClosed ?? false, false);
  assert.equal(rulesOf("bob", "tickets", ["tickets"])?.isClosed, true);
});
