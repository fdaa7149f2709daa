import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { rankTools } from "../../../src/gateway/view/ranking.ts";
import type { JsonObject } from "../../../src/protocol/jsonrpc.ts";

function tool(name: string, description = "", properties: JsonObject = {}): JsonObject {
  return { name, description, inputSchema: { type: "object", properties } };
}

function names(tools: readonly JsonObject[], query: string): unknown[] {
  return rankTools(tools, query).map(({ name }) => name);
}

describe("rankTools()", () => {
  const issue = tool("github__create_issue", "Opens an issue in a repository");
  const pulls = tool("github__list_pulls", "Lists pull requests", {
    owner: { type: "string", description: "Who has the repository" },
  });
  const mail = tool("mail__sendMessage", "Sends an e-mail to somebody", {
    recipients: { type: "array", items: { type: "object", properties: { address: {} } } },
  });
  const notes = { ...tool("n__w"), title: "Note writer", annotations: { title: "Diary" } };
  const all = [pulls, mail, notes, issue];

  test("[SRCH-2] names, titles, descriptions and arguments are searched, names first", () => {
    const cases: readonly [string, readonly JsonObject[]][] = [
      ["create", [issue]],
      ["issue repository", [issue, pulls]],
      ["message", [mail]],
      ["note", [notes]],
      ["diary", [notes]],
      ["recipients", [mail]],
      ["address", [mail]],
      ["who has it", [pulls]],
      ["nothing at all", []],
      ["the of a", []],
      ["", []],
    ];
    for (const [query, expected] of cases) {
      assert.deepEqual(names(all, query), expected.map(({ name }) => name), query);
    }
    const about = tool("x__other", "Creates others");
    assert.deepEqual(rankTools([about, issue], "create"), [issue, about]);
  });

  test("[SRCH-2] forms of a word fit each other, and the exact name comes first", () => {
    for (const query of ["creating issues", "Created an Issue", "CREATE_ISSUE", "createIssue"]) {
      assert.equal(names(all, query)[0], "github__create_issue", query);
    }
    assert.deepEqual(names(all, "repo"), []);
    assert.deepEqual(names([tool("x__repository_list")], "repo"), ["x__repository_list"]);
    const near = tool("github__create_issue_create_issue");
    assert.deepEqual(rankTools([near, issue], "GitHub__create_issue"), [issue, near]);
    assert.deepEqual(names([tool("x__a", "创建一个问题"), tool("x__b", "别的")], "问题"), ["x__a"]);
  });

  test("[SRCH-2] rare words count more, and equals stay in the order of the list", () => {
    const many = Array.from({ length: 20 }, (_, nth) => tool(`s__list_${nth}`, "Lists things"));
    const rare = tool("s__purge", "Purges");
    assert.equal(names([...many, rare], "list purge")[0], "s__purge");
    assert.deepEqual(rankTools(many, "things"), many);
  });

  test("[SRCH-4] what isn't given changes no rank", () => {
    const ranked = rankTools([issue, pulls], "repository list");
    rankTools(
      [issue, pulls, ...Array.from({ length: 9 }, (_, n) => tool(`l__${n}`, "list"))],
      "list",
    );
    assert.deepEqual(rankTools([issue, pulls], "repository list"), ranked);
  });

  test("[SRCH-6] texts, schemas and queries of any size are read in part", () => {
    const long = tool("x__long", `${"word ".repeat(1_000_000)} last`);
    assert.deepEqual(names([long], "word"), ["x__long"]);
    assert.deepEqual(names([long], "last"), []);
    assert.deepEqual(names([issue], `${"other ".repeat(100_000)} issue`), []);
    const distinct = Array.from({ length: 100 }, (_, nth) => `w${nth}`).join(" ");
    assert.deepEqual(names([issue], `${distinct} issue`), []);
    let schema: JsonObject = { properties: { deepest: {} } };
    for (let n = 0; n < 10_000; n++) schema = { properties: { nested: schema } };
    const deep = { name: "x__chain", inputSchema: schema };
    assert.deepEqual(names([deep], "nested"), ["x__chain"]);
    assert.deepEqual(names([deep], "deepest"), []);
    const odd = { name: "x__odd", inputSchema: { properties: [1, null], items: 7 }, title: 5 };
    assert.deepEqual(names([odd], "odd"), ["x__odd"]);
  });
});
