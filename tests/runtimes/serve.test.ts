/**
 * `serve` of the runtime that the tests run on, and Node's where `node:http` is there too.
 *
 * @module
 */
import { serve as serveNode } from "../../src/adapters/node.ts";
import { cases } from "./cases.ts";
import { runCases } from "./run_cases.ts";
import { runtime, serve } from "./runtime.ts";

runCases(`serve on ${runtime}`, serve);

if (runtime !== "node") {
  const groups = Object.keys(cases).filter((group) => group !== "quiet");
  runCases(`Node's serve on ${runtime}`, serveNode, groups);
}
