/**
 * Makes the package `create-mooring`, so that `npm create mooring` is `mooring new`. All that it has is the
 * dependency on this package, at the same version.
 *
 * @module
 */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Runs `mooring new`. */
const PROGRAM = `#!/usr/bin/env node
import process from "node:process";
import { main } from "@mooring/mcp/cli";

process.exit(await main(["new", ...process.argv.slice(2)]));
`;

/**
 * Returns the `package.json` of `create-mooring`.
 *
 * @param manifest That of the package which has the command
 */
export function createManifest(
  manifest: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  const name = String(manifest["name"]);
  return {
    name: "create-mooring",
    version: manifest["version"],
    description: "npm create mooring: writes a small project that serves MCP tools",
    license: manifest["license"],
    keywords: ["mcp", "create", "template"],
    type: "module",
    engines: manifest["engines"],
    bin: { "create-mooring": "create.js" },
    files: ["create.js"],
    dependencies: { [name]: manifest["version"] },
  };
}

/** Writes the files of the package into a folder, which becomes a tarball. */
export async function writeCreatePackage(
  folder: string,
  manifest: Readonly<Record<string, unknown>>,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeFile(
    join(folder, "package.json"),
    `${JSON.stringify(createManifest(manifest), null, 2)}\n`,
  );
  await writeFile(join(folder, "create.js"), PROGRAM, { mode: 0o755 });
  await writeFile(
    join(folder, "README.md"),
    "# create-mooring\n\n`npm create mooring my-server` writes a small project that serves MCP tools.\n",
  );
}
