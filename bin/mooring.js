#!/usr/bin/env node
/**
 * Runs the `mooring` command of the npm package. The package holds TypeScript, and neither Node nor
 * Deno strips the types of files under `node_modules`. So this file strips them, for this package only.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import * as module from "node:module";
import process from "node:process";
import { fileURLToPath } from "node:url";

const ROOT = new URL("../", import.meta.url).href;

/** Strips the types of a module, without Node's warning that the feature is experimental. */
function strip(source) {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return module.stripTypeScriptTypes(source);
  } finally {
    process.emitWarning = emitWarning;
  }
}

/** Loads this package's modules, and leaves all others to the runtime. */
function load(url, context, next) {
  if (!url.startsWith(ROOT) || !url.endsWith(".ts")) return next(url, context);
  return {
    format: "module",
    shortCircuit: true,
    source: strip(readFileSync(fileURLToPath(url), "utf8")),
  };
}

// Bun runs TypeScript in any folder
if (process.versions.bun === undefined) {
  if (module.registerHooks === undefined || module.stripTypeScriptTypes === undefined) {
    console.error(`Run mooring with Node 22.18 or newer: ${process.version}`);
    process.exit(1);
  }
  module.registerHooks({ load });
}

const { main } = await import("../src/cli/main.ts");
process.exit(await main(process.argv.slice(2)));
