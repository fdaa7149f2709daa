/**
 * Figures as tables in Markdown: one for each runtime and each way of comparing.
 *
 * @module
 */
import type { Runtime } from "../tools/runtimes.ts";
import { KIND_NAMES, type KindName, kindOf, type Unit } from "./kinds.ts";
import type { Figure } from "./measure.ts";
import { STACK_NAMES, type StackName } from "./stacks/mod.ts";

/** What one column holds of one kind. */
interface Row {
  readonly title: string;
  readonly cell: (figure: Figure) => string;
}

const NOTHING = "–";

/** The names of the servers as they head columns. */
export const TITLES: Readonly<Record<StackName, string>> = {
  "floor": "floor",
  "mooring": "Mooring",
  "sdk-v1": "SDK v1",
  "sdk-v2": "SDK v2",
  "sdk-v2-sessions": "SDK v2, sessions",
  "mcp-lite": "mcp-lite",
  "hono-mcp": "@hono/mcp",
  "tmcp": "tmcp",
};

/** The figures of one runtime, a row for each kind and a column for each server. */
export function tableOf(runtime: Runtime, figures: readonly Figure[]): string {
  const own = figures.filter((figure) => figure.runtime === runtime);
  const stacks = STACK_NAMES.filter((name) => own.some(({ stack }) => stack === name));
  const rows = KIND_NAMES.filter((name) => own.some(({ kind }) => kind === name))
    .flatMap((kind) =>
      rowsOf(kind).map(({ title, cell }) => [
        title,
        ...stacks.map((stack) => {
          const figure = own.find((one) => one.kind === kind && one.stack === stack);
          return figure === undefined ? NOTHING : cell(figure);
        }),
      ])
    );
  return markdown([[runtime, ...stacks.map((stack) => TITLES[stack])], ...rows]);
}

function rowsOf(kind: KindName): Row[] {
  const { title, unit } = kindOf(kind);
  const row: Row = { title: `${title}${SAID[unit]}`, cell: ({ value }) => inUnit(value, unit) };
  if (unit !== "http") return [row];
  return [row, { title: `${title}: p99`, cell: ({ p99 = NaN }) => `× ${p99.toFixed(2)}` }];
}

const SAID: Readonly<Record<Unit, string>> = {
  floor: "",
  own: "",
  http: ": requests/s",
  bytes: ": heap",
  pause: ": longest pause",
};

/** A figure with its unit. */
export function inUnit(value: number, unit: Unit): string {
  if (Number.isNaN(value)) return NOTHING;
  if (unit === "bytes") return `${(value / 1024).toFixed(1)} KiB`;
  if (unit === "pause") return `${value.toFixed(1)} ms`;
  const percent = value * 100;
  return `${percent.toFixed(percent < 10 ? 1 : 0)} %`;
}

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
