// Starts a server in a folder, and calls it with the official client in both eras.
import { delimiter, dirname } from "node:path";
import process from "node:process";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";

// `npx` runs the Node that runs this.
const PATH = [dirname(process.execPath), process.env.PATH].join(delimiter);
const env = { ...process.env, PATH };
const [cwd, command, ...args] = process.argv.slice(2);
for (const mode of ["legacy", "auto"]) {
  const client = new Client(
    { name: "consumer", version: "1.0.0" },
    { versionNegotiation: { mode } },
  );
  await client.connect(new StdioClientTransport({ command, args, cwd, env, stderr: "inherit" }));
  if (client.getProtocolEra() !== (mode === "legacy" ? "legacy" : "modern")) {
    throw new Error(`The era is ${client.getProtocolEra()}`);
  }
  const { tools } = await client.listTools();
  if (tools[0]?.name !== "count") throw new Error(JSON.stringify(tools));
  const { content } = await client.callTool({ name: "count", arguments: {} });
  if (content[0]?.text !== "1") throw new Error(JSON.stringify(content));
  await client.close();
}
