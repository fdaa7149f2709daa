/**
 * What Mooring is to reach, and what it doesn't.
 *
 * @module
 */
import type { Runtime } from "../tools/runtimes.ts";
import { type KindName, kindOf, type Unit } from "./kinds.ts";
import type { Figure } from "./measure.ts";
import type { StackName } from "./stacks/mod.ts";
import { inUnit, TITLES } from "./words.ts";

/** Figures to reach: shares at the least, costs at the most. */
const TARGETS: Readonly<Partial<Record<KindName, Readonly<Record<Runtime, number>>>>> = {
  "json": { deno: 0.8, bun: 0.7, node: 0.9 },
  "modern": { deno: 0.8, bun: 0.7, node: 0.9 },
  "sse": { deno: 0.85, bun: 0.75, node: 0.9 },
  "initialize": { deno: 0.8, bun: 0.8, node: 0.9 },
  "progress": { deno: 0.85, bun: 0.6, node: 0.85 },
  "live-100000": same(0.9),
  "http": { deno: 0.85, bun: 0.75, node: 0.9 },
  "session-heap": same(1_536),
  "stream-heap": same(6_144),
  "sweep": same(5),
  "evict": same(5),
};

/** How many times as fast as a rival Mooring is to be, in every kind that both can do. */
const AHEAD: Readonly<Record<Runtime, Readonly<Partial<Record<StackName, number>>>>> = {
  deno: { "sdk-v1": 6, "sdk-v2": 6, "sdk-v2-sessions": 6, "mcp-lite": 1 },
  bun: { "sdk-v1": 6, "sdk-v2": 6, "sdk-v2-sessions": 6, "mcp-lite": 1 },
  node: { "mcp-lite": 1 },
};

/** Units of which more is better, and in which servers compare. */
const RATES: ReadonlySet<Unit> = new Set(["floor", "http"]);

function same(value: number): Record<Runtime, number> {
  return { deno: value, bun: value, node: value };
}

/** The figure that Mooring is to reach, if there is one for this kind. */
export function targetFor(runtime: Runtime, kind: KindName): number | undefined {
  return TARGETS[kind]?.[runtime];
}

/** Whether Mooring's figure is as good as it is to be; `undefined` for what has no target. */
export function reaches({ runtime, stack, kind, value }: Figure): boolean | undefined {
  const target = targetFor(runtime, kind);
  if (stack !== "mooring" || target === undefined) return undefined;
  const { unit } = kindOf(kind);
  return unit === "bytes" || unit === "pause" ? value <= target : value >= target;
}

/** What one runtime's figures fall short of, one message each. */
export function missedBy(runtime: Runtime, figures: readonly Figure[]): string[] {
  const here = figures.filter((figure) => figure.runtime === runtime);
  return here.filter(({ stack }) => stack === "mooring").flatMap((own) => [
    ...shortOfTarget(own),
    ...here.filter(({ kind }) => kind === own.kind).flatMap((rival) => notAhead(own, rival)),
  ]);
}

function shortOfTarget(own: Figure): string[] {
  const target = targetFor(own.runtime, own.kind);
  if (target === undefined || reaches(own) !== false) return [];
  const { unit, title } = kindOf(own.kind);
  return [`${title}: ${inUnit(own.value, unit)} instead of ${inUnit(target, unit)}`];
}

function notAhead(own: Figure, rival: Figure): string[] {
  const { unit, title } = kindOf(own.kind);
  if (!RATES.has(unit) || rival.stack === "mooring" || rival.stack === "floor") return [];
  // With progress no rival may be ahead, whoever it is.
  const least = AHEAD[own.runtime][rival.stack] ?? (own.kind === "progress" ? 1 : 0);
  const times = own.value / rival.value;
  if (times >= least) return [];
  return [`${title}: ${times.toFixed(1)} × ${TITLES[rival.stack]} instead of ${least} ×`];
}
