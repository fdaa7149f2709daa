/**
 * Puts figures that `--json` has written into `docs/performance.md`, between its markers: those of
 * `bench`, which go into `bench/expected.json`, too, or those of `bench:network`.
 *
 * @module
 */
import { readFile, writeFile } from "node:fs/promises";
import process from "node:process";
import { RUNTIMES } from "../tools/runtimes.ts";
import { EXPECTED_FILE, expectedOf } from "./expected.ts";
import type { Figure } from "./measure.ts";
import { withTables } from "./docs.ts";
import { type Measured, networkTable } from "./network_table.ts";
import { reportOf } from "./table.ts";

const DOCS = new URL("../docs/performance.md", import.meta.url);

const [file] = process.argv.slice(2);
if (file === undefined) throw new TypeError("Name the file that --json has written");
const written: Figure[] | Measured[] = JSON.parse(await readFile(file, "utf8"));
const page = await readFile(DOCS, "utf8");
if (isNetwork(written)) {
  const tables = written.map(({ runtime, rows }) => networkTable(runtime, rows));
  await writeFile(DOCS, withTables(page, "tables of the network", tables.join("\n\n")));
} else {
  const reports = RUNTIMES.filter((name) => written.some(({ runtime }) => runtime === name))
    .map((name) => reportOf(name, written));
  await writeFile(DOCS, withTables(page, "tables", reports.join("\n\n")));
  await writeFile(EXPECTED_FILE, `${JSON.stringify(expectedOf(written), null, 2)}\n`);
}

function isNetwork(written: Figure[] | Measured[]): written is Measured[] {
  return written.some((one) => "rows" in one);
}
