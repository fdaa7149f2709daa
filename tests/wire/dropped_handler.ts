/**
 * A program that makes a handler with everything going on, and forgets it: it must end by itself.
 *
 * @module
 */
import process from "node:process";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { initialize, logMessage, Stub } from "../support/wire.ts";

const stub = new Stub({
  block(exchange) {
    exchange.notify(logMessage("working"));
    void exchange.ask("roots/list", {});
    return new Promise(() => {});
  },
});
const handler = createMcpHandler(stub, {
  authenticate: () => ({ id: "alice", expiresAt: Date.now() + 3_600_000 }),
  requests: { timeoutMs: 3_600_000, maxTimeoutMs: 7_200_000 },
});
const peer = await initialize(handler, { capabilities: { roots: {} } });
await handler.notify(String(peer.sessionId), logMessage("kept"));
await (await peer.listen()).message();
const call = peer.frames(
  await peer.request(1, "tools/call", { name: "block", _meta: { progressToken: 1 } }),
);
await call.message();
stub.host?.resourceUpdated("test://a");
const { sessions, streams, requests, questions } = handler.stats();
process.stdout.write(JSON.stringify({ sessions, streams, requests, questions }));
