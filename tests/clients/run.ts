/**
 * Runs the clients of others against the fixture server under one runtime. Prints a line for each
 * scenario, as TAP does, and ends with `N passed, N failed`.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { startFixture } from "../../tools/fixture.ts";
import { commandOf, install, isRuntime, ROOT } from "../../tools/runtimes.ts";
import { type Tally, tallyLine } from "../../tools/tally.ts";
import { canInspect, INSPECTIONS, PIPE_INSPECTIONS } from "./inspector.ts";
import { MODES_TOGETHER } from "./modern.ts";
import { PIPES, type Scenario, SCENARIOS, STATELESS, type World } from "./scenarios.ts";
import { sdkV1 } from "./sdk_v1.ts";
import { sdkV2, sdkV2Auto } from "./sdk_v2.ts";

const USAGE = "Usage: deno run -A tests/clients/run.ts --runtime deno|bun|node [--filter TEXT]";
const LIMIT_MS = 30_000;

const PLAN = [
  { name: sdkV2.name, kind: sdkV2, scenarios: SCENARIOS },
  { name: sdkV2Auto.name, kind: sdkV2Auto, scenarios: STATELESS },
  { name: "SDK v2 (all modes)", kind: sdkV2, scenarios: MODES_TOGETHER },
  { name: sdkV1.name, kind: sdkV1, scenarios: SCENARIOS },
  { name: `${sdkV2.name} over stdio`, kind: sdkV2, scenarios: PIPES.slice(0, 4) },
  { name: `${sdkV2Auto.name} over stdio`, kind: sdkV2Auto, scenarios: PIPES },
  { name: `${sdkV1.name} over stdio`, kind: sdkV1, scenarios: PIPES },
  { name: "inspector", kind: sdkV2, scenarios: INSPECTIONS },
  { name: "inspector over stdio", kind: sdkV2, scenarios: PIPE_INSPECTIONS },
] as const;

/** Runs one scenario, no longer than it may take. */
async function prove(scenario: Scenario, world: World): Promise<void> {
  const { limitMs = LIMIT_MS } = scenario;
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`Not done in ${limitMs} ms`)), limitMs);
  try {
    await Promise.race([scenario.run(world), promise]);
  } finally {
    clearTimeout(timer);
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { runtime: { type: "string" }, filter: { type: "string", default: "" } },
  });
  const { runtime = "", filter } = values;
  if (!isRuntime(runtime)) {
    console.error(USAGE);
    return 2;
  }
  await install();
  const [fixture, guarded] = await Promise.all([
    startFixture(runtime),
    startFixture(runtime, "examples/notes.ts"),
  ]);
  const inspecting = await canInspect();
  const { program, args } = commandOf(runtime);
  const command = [program, ...args, `${ROOT}tests/fixtures/everything.ts`, "--stdio"] as const;
  const tally = { passed: 0, failed: 0, skipped: 0 };
  try {
    for (const { name, kind, scenarios } of PLAN) {
      for (const scenario of scenarios) {
        const title = `${name}: ${scenario.name}`;
        if (!title.includes(filter)) continue;
        if (name.startsWith("inspector") && !inspecting) {
          tally.skipped++;
          console.log(`ok ${sum(tally)} - ${title} # SKIP There is no npx`);
          continue;
        }
        const began = performance.now();
        try {
          const world: World = { kind, url: fixture.url, guardedUrl: guarded.url };
          await prove(scenario, name.endsWith("over stdio") ? { ...world, command } : world);
          tally.passed++;
          console.log(`ok ${sum(tally)} - ${title} # ${since(began)}`);
        } catch (error) {
          tally.failed++;
          console.log(`not ok ${sum(tally)} - ${title} # ${since(began)}`);
          const text = error instanceof Error ? error.stack ?? error.message : String(error);
          console.log(text.replace(/^/gm, "  # "));
        }
      }
    }
  } finally {
    await Promise.all([fixture.stop(), guarded.stop()]);
  }
  console.log(tallyLine(tally));
  return tally.failed === 0 && tally.passed > 0 ? 0 : 1;
}

function sum({ passed, failed, skipped }: Tally): number {
  return passed + failed + skipped;
}

function since(began: number): string {
  return `${Math.round(performance.now() - began)} ms`;
}

if (import.meta.main) process.exit(await main());
