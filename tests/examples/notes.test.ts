import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { options, server } from "../../examples/notes.ts";
import { createMcpHandler } from "../../mod.ts";
import { connect, RefusedError } from "../../src/testing/mod.ts";
import { pasted, reach, running } from "./program.ts";
import { text } from "./text.ts";

const as = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
const ADA = as("demo-token-of-ada");
const BEN = as("demo-token-of-ben");

describe("examples/notes.ts", () => {
  test("keeps each user's notes apart", async () => {
    const handler = createMcpHandler(server, options);
    try {
      const ada = await connect(handler, ADA);
      const ben = await connect(handler, BEN);
      assert.equal(text(await ada.callTool("add_note", { text: "Bread" })), "You have 1 notes");
      assert.equal(text(await ada.callTool("add_note", { text: "Butter" })), "You have 2 notes");
      const { structuredContent } = await ben.callTool("list_notes");
      assert.deepEqual(structuredContent, { notes: [] });
      const none = await ben.callTool("delete_note", { number: 1 });
      assert.deepEqual([none.isError, text(none)], [true, "No note 1"]);
      assert.equal(text(await ada.callTool("delete_note", { number: 1 })), "You have 1 notes");
      const { contents: [own] } = await ada.readResource("notes://mine");
      assert.equal(own && "text" in own && own.text, "Butter");
    } finally {
      await handler.close();
    }
  });

  test("[AUTH-1] turns away whoever has no token", async () => {
    const handler = createMcpHandler(server, options);
    try {
      for (const init of [{}, as("something-else")]) {
        await assert.rejects(connect(handler, init), (error) => {
          assert.ok(error instanceof RefusedError);
          assert.equal(error.status, 401);
          assert.equal(error.headers.get("www-authenticate"), "Bearer");
          return true;
        });
      }
    } finally {
      await handler.close();
    }
  });

  test("[OWN-1, OWN-2] runs, and one user's session is unknown to another", () =>
    running("notes.ts", async (program) => {
      const { url } = program;
      const ada = await reach(url, ADA);
      await ada.callTool("add_note", { text: "Bread" });
      const answers = await Promise.all([ada.sessionId, "unknown"].map(async (id) => {
        const headers = { ...BEN.headers, "mcp-session-id": id ?? "" };
        const response = await fetch(url, { method: "DELETE", headers });
        return [response.status, await response.text()];
      }));
      assert.equal(answers[0]?.[0], 404);
      assert.deepEqual(answers[0], answers[1]);
      const { structuredContent } = await ada.callTool("list_notes");
      assert.deepEqual(structuredContent, { notes: ["Bread"] });
      await ada.close();
      for (const answer of await pasted(program)) assert.match(answer, /^HTTP\/1\.1 401/);
    }));
});
