/**
 * A tool that shows an app (MCP Apps), registered by the helpers of the official package. The app is a page
 * that calls a tool of its server, which the model doesn't see.
 *
 *     deno task run examples/apps.ts
 *
 * The package of the helpers is one for development here, so the first run downloads all of these.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { registerAppResource, registerAppTool } from "@modelcontextprotocol/ext-apps/server";
import { McpServer } from "@mooring/mcp";

const PAGE = "ui://dice/page.html";

/**
 * The app. An app of more than a few lines takes the class `App` of `@modelcontextprotocol/ext-apps`, and is
 * bundled into one page.
 */
const html = `<!doctype html>
<title>Dice</title>
<output>Nothing yet</output>
<button>Roll</button>
<script type="module">
  let ids = 0;
  const waiting = new Map();
  const send = (message) => parent.postMessage({ jsonrpc: "2.0", ...message }, "*");
  const request = (method, params) =>
    new Promise((resolve, reject) => {
      waiting.set(++ids, { resolve, reject });
      send({ id: ids, method, params });
    });
  addEventListener("message", ({ source, data }) => {
    const { resolve, reject } = source === parent && waiting.get(data.id) || {};
    waiting.delete(data.id);
    if (data.error) reject?.(new Error(data.error.message));
    else resolve?.(data.result);
  });

  const { hostContext } = await request("ui/initialize", {
    protocolVersion: "2026-01-26",
    appInfo: { name: "dice", version: "1.0.0" },
    appCapabilities: {},
  });
  send({ method: "ui/notifications/initialized", params: {} });
  // Behind a gateway the names of tools have a prefix, also that of the tool that has opened this page.
  const opened = hostContext?.toolInfo?.tool.name ?? "show_dice";
  const prefix = opened.endsWith("show_dice") ? opened.slice(0, -"show_dice".length) : "";
  document.querySelector("button").onclick = async () => {
    const { content } = await request("tools/call", { name: prefix + "roll", arguments: {} });
    document.querySelector("output").textContent = content[0].text;
  };
</script>
`;

/** Makes the server. */
export function createDice(): McpServer {
  const server = new McpServer({ name: "dice", version: "1.0.0" });
  // The helpers' types are those of the official server, but they only call these two methods.
  const official = server as unknown as
    & Parameters<typeof registerAppTool>[0]
    & Parameters<typeof registerAppResource>[0];

  registerAppTool(official, "show_dice", {
    description: "Shows a die that the user can roll.",
    _meta: { ui: { resourceUri: PAGE, visibility: ["model"] } },
  }, () => ({ content: [{ type: "text", text: "The user sees a die" }] }));

  registerAppTool(official, "roll", {
    description: "Rolls the die.",
    _meta: { ui: { resourceUri: PAGE, visibility: ["app"] } },
  }, () => ({ content: [{ type: "text", text: `${1 + Math.floor(6 * Math.random())}` }] }));

  registerAppResource(official, "Dice", PAGE, { description: "A die" }, () => ({
    contents: [{
      uri: PAGE,
      mimeType: "text/html;profile=mcp-app",
      text: html,
      _meta: { ui: { csp: {}, prefersBorder: true } },
    }],
  }));
  return server;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { port: { type: "string", default: process.env.PORT ?? "8000" } },
  });
  // An application imports only the one for its runtime.
  const { serve } = "Deno" in globalThis
    ? await import("@mooring/mcp/deno")
    : "Bun" in globalThis
    ? await import("@mooring/mcp/bun")
    : await import("@mooring/mcp/node");
  const { url } = await serve(createDice(), { port: Number(values.port) });
  const inspect = `npx -y @modelcontextprotocol/inspector@2.12.0 --cli ${url} --transport http`;
  const hello = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":' +
    '"2025-11-25","capabilities":{},"clientInfo":{"name":"curl","version":"1.0.0"}}}';
  console.log(
    `Listening at ${url}. Add it to a client that shows apps, and ask for a die. Or look what it serves:

  curl -si ${url} -H 'content-type: application/json' -d '${hello}'

  ${inspect} --method tools/list
  ${inspect} --method resources/read --uri ${PAGE}
`,
  );
}
