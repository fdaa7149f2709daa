import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { createMcpHandler } from "@modelcontextprotocol/server";
import { http } from "../../src/gateway/upstreams/http.ts";
import { stdio } from "../../src/gateway/upstreams/stdio.ts";
import type { ProtocolVersion } from "../../src/protocol/versions.ts";
import { runs } from "./children.ts";
import { listen } from "./servers.ts";
import { sdkV2Server } from "./sdk_v2_server.ts";
import { Session, textOf } from "./session.ts";

const CHILD = fileURLToPath(new URL("./fixtures/sdk_v2_child.ts", import.meta.url));
const CHANGED = "notifications/tools/list_changed";

/** What the server does in either era. */
async function exercise(session: Session, version: ProtocolVersion): Promise<void> {
  const { facts } = session.session;
  assert.equal(facts.protocolVersion, version);
  assert.equal(facts.serverInfo.name, "sdk-v2");
  const texts = Array.from({ length: 20 }, (_, i) => `text ${i}`);
  const results = await Promise.all(texts.map((text) => session.call("echo", { text })));
  assert.deepEqual(results.map(textOf), texts);
  assert.deepEqual(await session.request("ping"), {});
}

/** Asks as the 2026 era does: by a result, and an answer in the retry. */
async function ask(session: Session): Promise<void> {
  const first = await session.call("ask");
  assert.equal(first.resultType, "input_required");
  const inputResponses = { name: { action: "accept", content: { name: "Ada" } } };
  const { requestState } = first;
  const retry = { name: "ask", arguments: {}, inputResponses, requestState };
  assert.match(textOf(await session.request("tools/call", retry)), /Ada/);
}

test("[GTW-10] a server of the SDK's version 2 over stdio is spoken to in the newer era", async () => {
  await using session = await Session.open(stdio(runs(CHILD)));
  await exercise(session, "2026-07-28");
  await ask(session);
  await session.call("more");
  const { notifications } = session.recorder;
  await session.recorder.until(
    () => notifications.some(({ method }) => method === CHANGED),
    "the change",
  );
});

test("[GTW-10] and in the older era where it is pinned to that", async () => {
  await using session = await Session.open(stdio({ ...runs(CHILD), versions: ["2025-11-25"] }));
  await exercise(session, "2025-11-25");
  await session.call("more");
  const { notifications } = session.recorder;
  await session.recorder.until(
    () => notifications.some(({ method }) => method === CHANGED),
    "the change",
  );
});

test("[GTW-10] over HTTP it is spoken to in either era, its changes listened to", async () => {
  const handler = createMcpHandler(sdkV2Server);
  const server = await listen((request) => handler.fetch(request));
  try {
    {
      await using session = await Session.open(http({ url: server.url }));
      await exercise(session, "2026-07-28");
      await ask(session);
      const { notifications } = session.recorder;
      handler.notify.toolsChanged();
      await session.recorder.until(() => notifications.length === 1, "the change");
      assert.equal(notifications[0]?.method, CHANGED);
      await session.request("resources/subscribe", { uri: "test://thing" });
      handler.notify.resourceUpdated("test://thing");
      handler.notify.resourceUpdated("test://other");
      await session.recorder.until(() => notifications.length > 1, "the update");
      assert.deepEqual(notifications.at(-1), {
        method: "notifications/resources/updated",
        params: { uri: "test://thing" },
      });
    }
    await using older = await Session.open(http({ url: server.url, versions: ["2025-11-25"] }));
    await exercise(older, "2025-11-25");
    // Without sessions there is nothing to tell changes on.
    assert.deepEqual(older.session.facts.capabilities.tools, {});
  } finally {
    await handler.close();
    await server.close();
  }
});
