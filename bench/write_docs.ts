/**
 * Puts figures that `--json` has written into `docs/performance.md`, between its markers, and into
 * `bench/expected.json`.
 *
 * @module
 */
import { readFile, writeFile } from "node:fs/promises";
import process from "node:process";
import { RUNTIMES } from "../tools/runtimes.ts";
import { EXPECTED_FILE, expectedOf } from "./expected.ts";
import type { Figure } from "./measure.ts";
import { withTables } from "./docs.ts";
import { reportOf } from "./table.ts";

const DOCS = new URL("../docs/performance.md", import.meta.url);

const [file] = process.argv.slice(2);
if (file === undefined) throw new TypeError("Name the file that --json has written");
const figures: Figure[] = JSON.parse(await readFile(file, "utf8"));
const reports = RUNTIMES.filter((name) => figures.some(({ runtime }) => runtime === name))
  .map((name) => reportOf(name, figures));
await writeFile(DOCS, withTables(await readFile(DOCS, "utf8"), reports.join("\n\n")));
await writeFile(EXPECTED_FILE, `${JSON.stringify(expectedOf(figures), null, 2)}\n`);
