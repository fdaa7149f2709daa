import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { McpServer } from "../../mod.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { server as approval } from "../../examples/approval.ts";

type Mode = "legacy" | "auto" | { readonly pin: "2026-07-28" };

const MODES: readonly (readonly [string, Mode, string])[] = [
  ["legacy", "legacy", "2025-11-25"],
  ["auto", "auto", "2026-07-28"],
  ["pinned to 2026-07-28", { pin: "2026-07-28" }, "2026-07-28"],
];

/** The official client, talking to a handler in the same process. */
async function client(
  handler: (request: Request) => Promise<Response>,
  mode: Mode,
  asked: string[],
): Promise<Client> {
  const client = new Client({ name: "both-eras", version: "1.0.0" }, {
    capabilities: { elicitation: {} },
    versionNegotiation: { mode },
  });
  client.setRequestHandler("elicitation/create", ({ params }) => {
    asked.push(params.message);
    return { action: "accept", content: { approve: !params.message.includes("thesis") } };
  });
  const fetch = (input: string | URL, init?: RequestInit) => handler(new Request(input, init));
  await client.connect(
    new StreamableHTTPClientTransport(new URL("http://localhost/mcp"), { fetch }),
  );
  return client;
}

function textOf(result: Awaited<ReturnType<Client["callTool"]>>): string {
  const [block] = result.content;
  return block?.type === "text" ? block.text : "";
}

describe("examples/approval.ts in both eras", () => {
  test("[ERA-1][ASK-4][ASK-5] the same tool asks clients of both eras, at once, on one endpoint", async () => {
    assert.ok(approval instanceof McpServer);
    const handler = createMcpHandler(approval);
    const clients: Client[] = [];
    try {
      await Promise.all(MODES.map(async ([name, mode, version]) => {
        const asked: string[] = [];
        const one = await client(handler, mode, asked);
        clients.push(one);
        assert.equal(one.getNegotiatedProtocolVersion(), version, name);
        const call = (file: string) =>
          one.callTool({ name: "delete_file", arguments: { name: file } });
        const kept = await call("thesis.txt");
        assert.equal(kept.isError, true, name);
        assert.match(textOf(kept), /was not approved/);
        // Approved, and then there is no such file: the handler has run.
        const gone = await call(`${version}.txt`);
        assert.deepEqual([gone.isError, textOf(gone)], [true, `No such file: ${version}.txt`]);
        assert.deepEqual(asked.map((message) => message.split("\n")[0]), [
          'Delete "thesis.txt" for good?',
          `Delete "${version}.txt" for good?`,
        ]);
        const { structuredContent } = await one.callTool({ name: "list_files" });
        const { files } = structuredContent as { readonly files: readonly string[] };
        assert.ok(files.includes("thesis.txt"));
      }));
      assert.equal(handler.stats().requests, 0);
    } finally {
      for (const one of clients) await one.close();
      await handler.close();
    }
  });
});
