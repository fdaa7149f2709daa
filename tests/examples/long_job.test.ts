import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { jobs, options, server } from "../../examples/long_job.ts";
import { createMcpHandler } from "../../mod.ts";
import { connect } from "../../src/testing/mod.ts";
import { reach, running } from "./program.ts";
import { text } from "./text.ts";

describe("examples/long_job.ts", () => {
  test("reports every page", async () => {
    const handler = createMcpHandler(server, options);
    const client = await connect(handler);
    try {
      const seen: number[] = [];
      const result = await client.callTool("write_report", { pages: 3, msPerPage: 1 }, {
        onProgress: ({ progress }) => seen.push(progress),
      });
      assert.deepEqual(seen, [1, 2, 3]);
      assert.equal(text(result), "A report of 3 pages");
    } finally {
      await client.close();
      await handler.close();
    }
  });

  test("[CAN-2] stops when it is cancelled", async () => {
    const handler = createMcpHandler(server, options);
    const client = await connect(handler);
    try {
      const { stopped } = jobs;
      const abort = new AbortController();
      const job = client.callTool("write_report", { pages: 1_000, msPerPage: 10 }, {
        signal: abort.signal,
        onProgress: () => abort.abort(new Error("No longer needed")),
      });
      await assert.rejects(job, /No longer needed/);
      while (jobs.running > 0) await new Promise((resolve) => setTimeout(resolve, 5));
      assert.equal(jobs.stopped, stopped + 1);
      assert.equal(handler.stats().requests, 0);
    } finally {
      await client.close();
      await handler.close();
    }
  });

  test("[STR-6] runs on while its client is away, which comes back for the rest", () =>
    running("long_job.ts", async ({ url, output }) => {
      assert.match(output(), /curl -N .* -H 'last-event-id: …'/);
      const client = await reach(url);
      const { sessionId = "" } = client;
      const away = new AbortController();
      const call = await fetch(url, {
        method: "POST",
        headers: {
          "content-type": "application/json",
          accept: "application/json, text/event-stream",
          "mcp-session-id": sessionId,
        },
        body: JSON.stringify({
          jsonrpc: "2.0",
          id: "job",
          method: "tools/call",
          params: {
            name: "write_report",
            arguments: { pages: 6, msPerPage: 50 },
            _meta: { progressToken: "job" },
          },
        }),
        signal: away.signal,
      });
      const begun = await readUntil(call, /"progress":2/);
      away.abort();
      const [, lastEventId = ""] = begun.match(/[^]*^id: (\S+)$/m) ?? [];
      const rest = await fetch(url, {
        headers: {
          accept: "text/event-stream",
          "mcp-session-id": sessionId,
          "last-event-id": lastEventId,
        },
      });
      const pages = [...`${begun}${await rest.text()}`.matchAll(/"progress":(\d+)/g)];
      assert.deepEqual(pages.map(([, page]) => Number(page)), [1, 2, 3, 4, 5, 6]);
      await client.close();
    }));
});

/** Reads a stream event by event until one has something in it. */
async function readUntil(response: Response, what: RegExp): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    const whole = text.slice(0, text.lastIndexOf("\n\n") + 2);
    if (what.test(whole)) return whole;
  }
  throw new Error(`The stream ended: ${text}`);
}
