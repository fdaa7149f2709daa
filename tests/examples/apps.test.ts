import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createDice } from "../../examples/apps.ts";
import { createMcpHandler } from "../../mod.ts";
import { gateway, local } from "../../src/gateway/mod.ts";
import { connect } from "../../src/testing/mod.ts";
import { pasted, reach, running } from "./program.ts";
import { text } from "./text.ts";

const PAGE = "ui://dice/page.html";

describe("examples/apps.ts", () => {
  for (const protocolVersion of ["2025-11-25", "2026-07-28"] as const) {
    test(`[APP-7] registerAppTool and registerAppResource work on an McpServer (${protocolVersion})`, async () => {
      const handler = createMcpHandler(createDice());
      const client = await connect(handler, { protocolVersion });
      try {
        const tools = await client.listTools();
        assert.deepEqual(tools.map(({ name, _meta }) => [name, _meta]), [
          ["show_dice", {
            "ui/resourceUri": PAGE,
            ui: { resourceUri: PAGE, visibility: ["model"] },
          }],
          ["roll", { "ui/resourceUri": PAGE, ui: { resourceUri: PAGE, visibility: ["app"] } }],
        ]);
        const [listed] = await client.listResources();
        assert.deepEqual(
          [listed?.uri, listed?.mimeType, listed?.description],
          [PAGE, "text/html;profile=mcp-app", "A die"],
        );
        const { contents: [page] } = await client.readResource(PAGE);
        assert.equal(page?.mimeType, "text/html;profile=mcp-app");
        assert.deepEqual(page?._meta, { ui: { csp: {}, prefersBorder: true } });
        assert.match(page !== undefined && "text" in page ? page.text : "", /^<!doctype html>/);
        assert.match(text(await client.callTool("roll")) ?? "", /^[1-6]$/);
      } finally {
        await client.close();
        await handler.close();
      }
    });
  }

  test("[APP-1, APP-7] two of them behind a gateway each have their own page", async () => {
    const gw = gateway({
      upstreams: { red: local(createDice()), blue: local(createDice()) },
    });
    const handler = createMcpHandler(gw);
    const client = await connect(handler);
    try {
      for (const { name, _meta } of await client.listTools()) {
        const [upstream] = name.split("__");
        const uri = `ui://${upstream}__dice/page.html`;
        assert.equal(_meta?.["ui/resourceUri"], uri);
        const { contents: [page] } = await client.readResource(uri);
        assert.equal(page?.uri, uri);
      }
      await assert.rejects(client.callTool("roll"), /Call "red__roll" or "blue__roll"/);
    } finally {
      await client.close();
      await handler.close();
      await gw.close();
    }
  });

  test("runs, and prints a line that works", () =>
    running("apps.ts", async (program) => {
      const client = await reach(program.url);
      assert.match(text(await client.callTool("roll")) ?? "", /^[1-6]$/);
      await client.close();
      for (const answer of await pasted(program)) assert.match(answer, /"name":"dice"/);
    }));
});
