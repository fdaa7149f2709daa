// Imports every entry point that the installed package has, and wants something from each.
import { readFileSync } from "node:fs";

const manifest = JSON.parse(readFileSync("node_modules/@mooring/mcp/package.json", "utf8"));
for (const path of Object.keys(manifest.exports)) {
  if (path === "./package.json") continue;
  const module = await import(`@mooring/mcp${path.slice(1)}`);
  if (Object.keys(module).length === 0) throw new Error(`Nothing in ${path}`);
}
