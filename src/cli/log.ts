/**
 * The log: one line an event, on stderr. JSON for machines, plain words on a terminal.
 *
 * @module
 */
import type { Redact } from "./redact.ts";

/** The levels of the log, the least severe first. */
export const LEVELS = ["debug", "info", "warn", "error"] as const;

/** One of {@linkcode LEVELS}. */
export type Level = (typeof LEVELS)[number];

/** What is said about an event besides its name. */
export type Fields = Readonly<Record<string, unknown>>;

/** Writes an event to the log. */
export type Log = (level: Level, event: string, fields?: Fields) => void;

/** Where the lines go. */
export interface Sink {
  write(line: string): void;
}

/** How the log is written. */
export interface LogInit {
  readonly format: "json" | "text";
  /** Less severe events are left out. */
  readonly level: Level;
  /** Whether text may have colours. */
  readonly color: boolean;
  readonly sink: Sink;
  /** Takes secrets out of a field, before it is cut: half a secret would not be known any more. */
  readonly redact: Redact;
  /** The time, in milliseconds since the epoch. */
  readonly now: () => number;
}

/** The longest text that a field may have. */
const LONGEST = 2_000;
const COLORS: Readonly<Record<Level, string>> = {
  debug: "\x1b[2m",
  info: "\x1b[32m",
  warn: "\x1b[33m",
  error: "\x1b[31m",
};
const RESET = "\x1b[0m";

/** Makes a log. */
export function makeLog(init: LogInit): Log {
  const least = LEVELS.indexOf(init.level);
  const line = init.format === "json" ? jsonLine : textLine;
  return (level, event, fields = {}) => {
    if (LEVELS.indexOf(level) < least) return;
    init.sink.write(`${line({ level, event, fields }, init)}\n`);
  };
}

interface Entry {
  readonly level: Level;
  readonly event: string;
  readonly fields: Fields;
}

function jsonLine({ level, event, fields }: Entry, { now, redact }: LogInit): string {
  const time = new Date(now()).toISOString();
  const replacer = (_key: string, value: unknown): unknown => tidy(value, redact);
  return JSON.stringify({ time, level, event, ...fields }, replacer);
}

function textLine({ level, event, fields }: Entry, { now, color, redact }: LogInit): string {
  const time = new Date(now()).toISOString().slice(11, 23);
  const name = color ? `${COLORS[level]}${level.padEnd(5)}${RESET}` : level.padEnd(5);
  const { message, ...rest } = fields;
  const words = Object.entries(rest).filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}=${wordOf(tidy(value, redact))}`);
  const said = message === undefined ? "" : `: ${printable(String(tidy(message, redact)))}`;
  return `${time} ${name} ${event}${said}${words.join("")}`;
}

function wordOf(value: unknown): string {
  if (Array.isArray(value)) return wordOf(value.join(","));
  const text = typeof value === "string" ? value : JSON.stringify(value) ?? "";
  return /^[^\s"=]+$/.test(text) ? printable(text) : JSON.stringify(printable(text));
}

function tidy(value: unknown, redact: Redact): unknown {
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "string") return value;
  const clean = redact(value);
  return clean.length <= LONGEST ? clean : `${clean.slice(0, LONGEST).toWellFormed()}…`;
}

/** What a terminal shows as it is: nobody's words may move the cursor or change the colours. */
export function printable(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, " ");
}
