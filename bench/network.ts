/**
 * The benchmark of what goes over the network: Mooring on Redis, and its gateway beside others.
 * `docs/performance.md` says how it measures.
 *
 * @module
 */
import { writeFile } from "node:fs/promises";
import process from "node:process";
import { install, type Runtime } from "../tools/runtimes.ts";
import { measureHttpGateway } from "./gateway_http.ts";
import { measureStdioGateway } from "./gateway_stdio.ts";
import { NETWORK_USAGE, type NetworkKind, readNetworkOptions } from "./network_options.ts";
import { type Measured, networkTable, type Row, wordsFor } from "./network_table.ts";
import { whyNoRedis } from "./redis_client.ts";
import { measureCalls, measureEvents } from "./redis_measure.ts";

const MEASURES: Readonly<Record<NetworkKind, (runtime: Runtime) => Promise<readonly Row[]>>> = {
  "redis-1": (runtime) => measureCalls(runtime, 1),
  "redis-2": (runtime) => measureCalls(runtime, 2),
  "redis-3": (runtime) => measureCalls(runtime, 3),
  "redis-events": measureEvents,
  "gateway-http": measureHttpGateway,
  "gateway-stdio": measureStdioGateway,
};

async function main(args: readonly string[]): Promise<number> {
  const { runtimes, kinds, json } = readNetworkOptions(args);
  await install();
  const noRedis = await whyNoRedis();
  if (noRedis !== undefined && kinds.some(needsRedis)) console.error(noRedis);
  const possible = kinds.filter((kind) => noRedis === undefined || !needsRedis(kind));
  const all: Measured[] = [];
  let failed = 0;
  for (const runtime of runtimes) {
    const rows: Row[] = [];
    all.push({ runtime, rows });
    for (const kind of possible) {
      try {
        const measured = await MEASURES[kind](runtime);
        rows.push(...measured);
        for (const row of measured) console.error(`${runtime}, ${row.what}: ${wordsFor(row)}`);
      } catch (error) {
        failed++;
        console.error(`${runtime}, ${kind}: ${error instanceof Error ? error.message : error}`);
      }
      if (json !== undefined) await writeFile(json, JSON.stringify(all, null, 2));
    }
  }
  for (const { runtime, rows } of all) console.log(`\n${networkTable(runtime, rows)}`);
  return failed > 0 ? 1 : 0;
}

function needsRedis(kind: NetworkKind): boolean {
  return kind.startsWith("redis-");
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(`${error instanceof Error ? error.message : error}\n\n${NETWORK_USAGE}`);
  process.exitCode = 2;
}
