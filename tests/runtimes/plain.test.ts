/**
 * A handler given to the runtime's own server, without an adapter.
 *
 * @module
 */
import { handlerGroups } from "./cases.ts";
import { plainServe } from "./plain.ts";
import { runCases } from "./run_cases.ts";
import { runtime } from "./runtime.ts";

const own = {
  deno: "Deno.serve(handler)",
  bun: "Bun.serve({ fetch: handler })",
  node: "createServer(toNodeHandler(handler))",
}[runtime];

runCases(own, plainServe(), [...handlerGroups]);
