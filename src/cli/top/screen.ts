/**
 * Draws the screen of `mooring top`, as lines of text.
 *
 * @module
 */
import type { TopState } from "./state.ts";
import { type ShownRow, sorted, type TopView, VIEWS } from "./views.ts";
import { printable } from "../log.ts";

/** Columns that one cell may have, so that long names don't push out the others. */
const MOST_WIDTH = 40;

/** What is shown besides the state. */
export interface ScreenInit {
  readonly state: TopState;
  readonly view: TopView;
  /** The column that the table is sorted by, and whether descending. */
  readonly sort: readonly [column: number, down: boolean];
  /** The key of the selected row. */
  readonly selected: string | undefined;
  /** The index of the first row on the screen. */
  readonly top: number;
  readonly columns: number;
  readonly rows: number;
  readonly color: boolean;
  /** The last line: a question, an answer, or the keys. */
  readonly prompt: string;
}

/** A screen. */
export interface Screen {
  readonly lines: readonly string[];
  /** The rows of the table, sorted; all of them. */
  readonly shown: readonly ShownRow[];
  /** The index of the selected row; -1 if there is none. */
  readonly selected: number;
  /** The number of rows that fit. */
  readonly room: number;
  readonly top: number;
}

const LEVELS = { ok: "32", warn: "33", bad: "31" };

/** Draws everything. Each line has `columns` characters at most. */
export function drawScreen(init: ScreenInit): Screen {
  const { state, view, sort: [column, down], columns, rows, color, prompt } = init;
  const paint = (code: string, text: string) => color ? `\x1b[${code}m${text}\x1b[0m` : text;
  const { level, text: status } = state.status;
  const time = new Date(state.at).toISOString().slice(11, 19);
  const head = fit(`mooring top · ${status} · ${state.totals} · ${time}`, columns);
  const tabs = VIEWS.map((each) => {
    const label = `${each.key} ${each.title}`;
    return each === view ? paint("7", ` ${label} `) : ` ${label} `;
  });
  const shown = sorted(view.rows(state), column, down);
  const room = Math.max(1, rows - 5);
  const found = shown.findIndex(({ key }) => key === init.selected);
  const selected = found >= 0 ? found : shown.length > 0 ? 0 : -1;
  let top = Math.min(init.top, Math.max(0, shown.length - room));
  if (selected >= 0) top = Math.max(Math.min(top, selected), selected - room + 1);
  const visible = shown.slice(top, top + room);
  const widths = widthsOf(view, visible, columns);
  const titles = view.columns.map(({ title }, index) =>
    index === column ? `${title}${down ? "↓" : "↑"}` : title
  );
  const filter = state.filter === "" ? "" : `  filter: ${printable(state.filter)}`;
  const lines = [
    paint(`1;${LEVELS[level]}`, head),
    cutTabs(tabs, VIEWS.map(({ key, title }) => `${key} ${title}`.length + 2), columns) +
    fit(filter, Math.max(0, columns - VIEWS.reduce((sum, each) => sum + each.title.length + 4, 0))),
    paint("2", lineOf(view, titles, widths, columns)),
    ...visible.map(({ cells }, index) => {
      const line = lineOf(view, cells.map(({ text }) => text), widths, columns);
      return top + index === selected ? paint("7", line.padEnd(columns)) : line;
    }),
  ];
  if (shown.length === 0) lines.push(fit("Nothing to show", columns));
  while (lines.length < rows - 1) lines.push("");
  lines.push(fit(prompt, columns));
  return { lines: lines.slice(0, Math.max(1, rows)), shown, selected, room, top };
}

/** Draws the state as one plain line. */
export function plainLine(state: TopState): string {
  const time = new Date(state.at).toISOString();
  return `${time} ${state.status.text} · ${state.totals}`;
}

/** Draws every table as plain text. */
export function plainText(state: TopState, columns: number): string {
  const lines = [plainLine(state)];
  for (const view of VIEWS) {
    const rows = sorted(view.rows(state), ...view.sort);
    lines.push("", `${view.title} (${rows.length})`);
    if (rows.length === 0) continue;
    const widths = widthsOf(view, rows, columns);
    const titles = view.columns.map(({ title }) => title);
    lines.push(lineOf(view, titles, widths, columns));
    for (const { cells } of rows) {
      lines.push(lineOf(view, cells.map(({ text }) => text), widths, columns));
    }
  }
  return `${lines.join("\n")}\n`;
}

function widthsOf(view: TopView, rows: readonly ShownRow[], columns: number): readonly number[] {
  const widths = view.columns.map(({ title }, index) =>
    Math.min(
      MOST_WIDTH,
      Math.max(title.length + 1, ...rows.map(({ cells }) => cells[index]?.text.length ?? 0)),
    )
  );
  // Too wide a table takes from its widest columns first.
  let over = widths.reduce((sum, width) => sum + width + 1, -1) - columns;
  while (over > 0) {
    const widest = widths.indexOf(Math.max(...widths));
    if ((widths[widest] ?? 0) <= 6) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
    over -= 1;
  }
  return widths;
}

function lineOf(
  view: TopView,
  texts: readonly string[],
  widths: readonly number[],
  columns: number,
): string {
  const line = texts.map((text, index) => {
    const width = widths[index] ?? 0;
    const cut = fit(text, width);
    return view.columns[index]?.right === true ? cut.padStart(width) : cut.padEnd(width);
  }).join(" ");
  return fit(line.trimEnd(), columns);
}

/** Joins tabs as long as they fit: their colours take no columns. */
function cutTabs(tabs: readonly string[], widths: readonly number[], columns: number): string {
  let line = "";
  let used = 0;
  for (const [index, tab] of tabs.entries()) {
    used += widths[index] ?? 0;
    if (used > columns) break;
    line += tab;
  }
  return line;
}

function fit(text: string, width: number): string {
  if (text.length <= width) return text;
  return width <= 1 ? text.slice(0, width) : `${text.slice(0, width - 1).toWellFormed()}…`;
}
