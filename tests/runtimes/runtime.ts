/**
 * Which runtime the tests run on, and its own adapter.
 *
 * @module
 */
import { serve as serveBun } from "../../src/adapters/bun.ts";
import { serve as serveDeno } from "../../src/adapters/deno.ts";
import { serve as serveNode } from "../../src/adapters/node.ts";

const globals: { readonly Bun?: unknown; readonly Deno?: unknown } = globalThis;

/** The runtime that the tests run on. */
export const runtime = globals.Deno ? "deno" : globals.Bun ? "bun" : "node";

/** That runtime's own adapter. */
export const serve = { deno: serveDeno, bun: serveBun, node: serveNode }[runtime];
