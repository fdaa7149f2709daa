/**
 * A server on its pipes, whose tools do what a program may do wrong.
 *
 * @module
 */
import process from "node:process";
import { McpServer } from "../../mod.ts";
import { serveStdio } from "../../src/adapters/stdio.ts";

const server = new McpServer({ name: "piped", version: "1.0.0" });
server.registerTool("print", {}, () => {
  console.log("printed %s", "by log");
  console.info("printed by info");
  console.dir({ printed: "by dir" });
  console.table([{ printed: "by table" }]);
  console.group("printed by group");
  console.groupEnd();
  process.stdout.write("printed by write\n");
  return "printed";
});
server.registerTool("big", {}, () => "x".repeat(1_000_000));
server.registerTool("wait", {}, (_args, ctx) =>
  new Promise<string>((_, reject) => {
    ctx.signal.addEventListener("abort", () => {
      console.error(`stopped: ${ctx.signal.reason.kind}`);
      reject(ctx.signal.reason);
    });
    console.error("waiting");
  }));

const [graceMs = "1500", more] = process.argv.slice(2);
// Something that programs have: it keeps the process alive.
if (more === "alive") setInterval(() => {}, 60_000);
const { finished } = serveStdio(server, { graceMs: Number(graceMs) });
await finished;
console.error("finished");
