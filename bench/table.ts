/**
 * Figures as tables in Markdown: one for each runtime and each way of comparing.
 *
 * @module
 */
import type { Runtime } from "../tools/runtimes.ts";
import { KIND_NAMES, type KindName, kindOf, type Unit } from "./kinds.ts";
import { inUnit, NOTHING, TITLES } from "./words.ts";
import type { Figure } from "./measure.ts";
import { STACK_NAMES } from "./stacks/mod.ts";
import { gapOf } from "./gaps.ts";
import { median } from "./pairs.ts";
import { missedBy, reaches } from "./targets.ts";

/** What one column holds of one kind. */
interface Row {
  readonly title: string;
  readonly cell: (figure: Figure) => string;
  /** Whether it is the kind's own figure, and not one beside it. */
  readonly first: boolean;
}

/** How Mooring's figures are marked: whether they reach what they are to reach. */
const MARKS: Readonly<Record<string, string>> = { true: " ✓", false: " ✗" };

/** The figures of one runtime, a row for each kind and a column for each server. */
export function tableOf(runtime: Runtime, figures: readonly Figure[]): string {
  const own = figures.filter((figure) => figure.runtime === runtime);
  const stacks = STACK_NAMES.filter((name) => own.some(({ stack }) => stack === name));
  const mark = (figure: Figure): string => MARKS[`${reaches(figure)}`] ?? "";
  const rows = KIND_NAMES.filter((name) => own.some(({ kind }) => kind === name))
    .flatMap((kind) =>
      rowsOf(kind).map(({ title, cell, first }) => [
        title,
        ...stacks.map((stack) => {
          const figure = own.find((one) => one.kind === kind && one.stack === stack);
          return figure === undefined ? NOTHING : `${cell(figure)}${first ? mark(figure) : ""}`;
        }),
      ])
    );
  return markdown([[runtime, ...stacks.map((stack) => TITLES[stack])], ...rows]);
}

/** A table with what is to be said about it: what is missing and why, what was missed, how exact it is. */
export function reportOf(runtime: Runtime, figures: readonly Figure[]): string {
  const own = figures.filter((figure) => figure.runtime === runtime);
  const spreads = own.flatMap(({ spread }) => spread === undefined ? [] : [spread]);
  const parts = [
    tableOf(runtime, figures),
    list("Not measured (–)", gapsIn(own)),
    list("Missed (✗)", missedBy(runtime, figures)),
  ];
  if (spreads.length > 0) {
    const percent = (median(spreads) * 100).toFixed(1);
    const most = (Math.max(...spreads) * 100).toFixed(0);
    parts.push(
      `Half of all pairs lie within ± ${percent} % of a figure; of the worst, ± ${most} %.`,
    );
  }
  return parts.filter((part) => part !== "").join("\n\n");
}

/** Why cells are empty, one line for each server and reason. */
function gapsIn(figures: readonly Figure[]): string[] {
  const kinds = KIND_NAMES.filter((name) => figures.some(({ kind }) => kind === name));
  const stacks = STACK_NAMES.filter((name) => figures.some(({ stack }) => stack === name));
  const missing = new Map<string, string[]>();
  for (const stack of stacks) {
    for (const kind of kinds) {
      if (figures.some((figure) => figure.stack === stack && figure.kind === kind)) continue;
      const why = `${TITLES[stack]} ${gapOf(stack, kind) ?? "failed or was left out"}`;
      missing.set(why, [...missing.get(why) ?? [], kind]);
    }
  }
  return [...missing].map(([why, kinds]) => `${why} (${kinds.join(", ")})`);
}

function list(title: string, lines: readonly string[]): string {
  if (lines.length === 0) return "";
  return `${title}:\n\n${lines.map((line) => `- ${line}`).join("\n")}`;
}

function rowsOf(kind: KindName): Row[] {
  const { title, unit } = kindOf(kind);
  const row: Row = {
    title: `${title}${SAID[unit]}`,
    cell: ({ value }) => inUnit(value, unit),
    first: true,
  };
  if (unit !== "http") return [row];
  return [
    row,
    {
      title: `${title}: requests/CPU second`,
      cell: ({ perCpu = NaN }) => inUnit(perCpu, unit),
      first: false,
    },
    { title: `${title}: p99`, cell: ({ p99 = NaN }) => `× ${p99.toFixed(2)}`, first: false },
  ];
}

const SAID: Readonly<Record<Unit, string>> = {
  floor: "",
  own: "",
  http: ": requests/s",
  bytes: ": heap",
  pause: ": longest pause",
};

function markdown(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  const line = (cells: readonly string[]): string =>
    `| ${
      cells.map((cell, i) => i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))
        .join(" | ")
    } |`;
  const [head = [], ...body] = rows;
  const rule = widths.map((width, i) =>
    "-".repeat(i === 0 ? width : width - 1) + (i === 0 ? "" : ":")
  );
  return [line(head), line(rule), ...body.map(line)].join("\n");
}
