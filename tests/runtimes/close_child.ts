/**
 * A process in which nothing is left but a call, or a session with an upstream, that never ends: writes
 * `closed` when that has been given up. Takes `handler` or `gateway`.
 *
 * @module
 */
import process from "node:process";
import { gateway, local } from "../../src/gateway/mod.ts";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { McpServer } from "../../src/server/server.ts";

const server = new McpServer({ name: "stuck", version: "1.0.0" });
const { promise: started, resolve: start } = Promise.withResolvers<void>();
server.registerTool("stuck", {}, () => {
  start();
  return new Promise<string>(() => {});
});

/** Calls the tool in a handler without sessions. */
function call(handler: (request: Request) => Promise<Response>, name: string): void {
  void handler(
    new Request("http://localhost/mcp", {
      method: "POST",
      headers: { "content-type": "application/json", "accept": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name } }),
    }),
  );
}

if (process.argv[2] === "handler") {
  const handler = createMcpHandler(server, { sessions: false });
  call(handler, "stuck");
  await started;
  await handler.close({ graceMs: 300 });
} else {
  const upstream = local(server);
  const open = upstream.open.bind(upstream);
  const gw = gateway({
    closeTimeoutMs: 150,
    upstreams: {
      up: {
        kind: "local",
        identity: "stuck",
        open: async (init) => {
          const session = await open(init);
          return {
            facts: session.facts,
            request: (call) => session.request(call),
            notify: (notification) => session.notify(notification),
            close: () => new Promise<void>(() => {}),
          };
        },
      },
    },
  });
  const handler = createMcpHandler(gw, { sessions: false });
  call(handler, "up__stuck");
  await started;
  await gw.close();
}
process.stdout.write("closed\n");
