/**
 * Figures of what goes over the network, as a table.
 *
 * @module
 */
import type { Runtime } from "../tools/runtimes.ts";

/** What a figure is. */
export type RowUnit = "number" | "share" | "times" | "rate" | "ms";

/** One figure. */
export interface Row {
  readonly what: string;
  readonly value: number;
  readonly unit: RowUnit;
  /** What it should be at most. */
  readonly most?: number;
  /** What it should be at least. */
  readonly least?: number;
}

/** What was measured on a runtime. */
export interface Measured {
  readonly runtime: Runtime;
  readonly rows: readonly Row[];
}

const WORDS: Readonly<Record<RowUnit, (value: number) => string>> = {
  number: (value) => value.toFixed(2),
  share: (value) => `${(value * 100).toFixed(0)} %`,
  times: (value) => `× ${value.toFixed(2)}`,
  rate: (value) => `${Math.round(value)}/s`,
  ms: (value) => `${value.toFixed(2)} ms`,
};

/** Whether a figure is what it should be; `undefined` when nothing is asked of it. */
export function fits({ value, most, least }: Row): boolean | undefined {
  if (most === undefined && least === undefined) return undefined;
  return value <= (most ?? Infinity) && value >= (least ?? -Infinity);
}

/** A figure in words, with a mark where something is asked of it. */
export function wordsFor(row: Row): string {
  const fit = fits(row);
  const mark = fit === undefined ? "" : fit ? " ✓" : " ✗";
  return `${WORDS[row.unit](row.value)}${mark}`;
}

/** A table of figures, in Markdown. */
export function networkTable(runtime: string, rows: readonly Row[]): string {
  const lines = rows.map((row) => `| ${row.what} | ${wordsFor(row)} |`);
  return [`| ${runtime} | |`, "| --- | ---: |", ...lines].join("\n");
}
