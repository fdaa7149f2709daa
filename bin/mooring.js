#!/usr/bin/env node
/**
 * The `mooring` command of the npm package. The package holds TypeScript; Node runs that, but not
 * under `node_modules`, and neither does Deno, so there its types are taken out here, for the files of this package alone.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import * as module from "node:module";
import process from "node:process";
import { fileURLToPath } from "node:url";

const ROOT = new URL("../", import.meta.url).href;

/** Takes the types out of a module without the warning that this is a young feature of Node. */
function strip(source) {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return module.stripTypeScriptTypes(source);
  } finally {
    process.emitWarning = emitWarning;
  }
}

/** Loads this package's modules; everything else is loaded as ever. */
function load(url, context, next) {
  if (!url.startsWith(ROOT) || !url.endsWith(".ts")) return next(url, context);
  return {
    format: "module",
    shortCircuit: true,
    source: strip(readFileSync(fileURLToPath(url), "utf8")),
  };
}

// Bun runs TypeScript wherever it is.
if (process.versions.bun === undefined) {
  if (module.registerHooks === undefined || module.stripTypeScriptTypes === undefined) {
    console.error(`Run mooring with Node 22.18 or newer: ${process.version}`);
    process.exit(1);
  }
  module.registerHooks({ load });
}

const { main } = await import("../src/cli/main.ts");
process.exit(await main(process.argv.slice(2)));
