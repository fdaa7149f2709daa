/**
 * A program that serves at a port, which its argument names, and doesn't expect to fail.
 *
 * @module
 */
import process from "node:process";
import { McpServer } from "../../mod.ts";
import { serve } from "./runtime.ts";

await serve(new McpServer({ name: "serving", version: "1.0.0" }), {
  port: Number(process.argv[2]),
});
