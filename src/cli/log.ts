/**
 * Writes the log: one line for each event, as JSON for machines or as text for terminals.
 *
 * @module
 */
import type { McpEvent } from "../../mod.ts";
import { escapeInvisible, escapeInvisibleJson } from "../kit.ts";
import { messageOf } from "./errors.ts";
import type { Redact } from "./redact.ts";

/** The forms of the log. */
export const FORMATS = ["json", "text"] as const;

/** The levels of the log, the least severe first. */
export const LEVELS = ["debug", "info", "warn", "error"] as const;

/** One of {@linkcode LEVELS}. */
export type Level = (typeof LEVELS)[number];

/** The fields of an event besides its name. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Writes an event to the log. */
export type Log = (level: Level, event: string, fields?: LogFields) => void;

/** A stream to write lines to. */
export interface Sink {
  write(line: string): void;
}

/** Options for {@linkcode makeLog}. */
export interface LogInit {
  readonly format: typeof FORMATS[number];
  /** Less severe events are left out. */
  readonly level: Level;
  /** Whether text may have colours. */
  readonly color: boolean;
  readonly sink: Sink;
  /** Takes secrets out of a field before it is cut: half of a secret would not be recognized. */
  readonly redact: Redact;
  /** Returns the time, in milliseconds since the epoch. */
  readonly now: () => number;
}

/** The fields of a line of text, and how deep what they are taken from may nest. */
const MAX_WORDS = 50;
const MAX_DEPTH = 3;
/** Characters that a text in a field may have. */
const MAX_LENGTH = 2_000;
const COLORS: Readonly<Record<Level, string>> = {
  debug: "\x1b[2m",
  info: "\x1b[32m",
  warn: "\x1b[33m",
  error: "\x1b[31m",
};
const RESET = "\x1b[0m";

/** Creates a log. */
export function makeLog(init: LogInit): Log {
  const least = LEVELS.indexOf(init.level);
  const line = init.format === "json" ? jsonLine : textLine;
  return (level, event, fields = {}) => {
    if (LEVELS.indexOf(level) < least) return;
    init.sink.write(`${line({ level, event, fields }, init)}\n`);
  };
}

interface LogLine {
  readonly level: Level;
  readonly event: string;
  readonly fields: LogFields;
}

function jsonLine({ level, event, fields }: LogLine, { now, redact }: LogInit): string {
  const time = new Date(now()).toISOString();
  const replacer = (_key: string, value: unknown): unknown => clean(value, redact);
  return escapeInvisibleJson(JSON.stringify({ time, level, event, ...fields }, replacer));
}

function textLine({ level, event, fields }: LogLine, { now, color, redact }: LogInit): string {
  const time = new Date(now()).toISOString().slice(11, 23);
  const name = color ? `${COLORS[level]}${level.padEnd(5)}${RESET}` : level.padEnd(5);
  const { message, ...rest } = fields;
  const words = flatFields(rest).slice(0, MAX_WORDS)
    .map(([key, value]) => ` ${printable(key)}=${fieldText(clean(value, redact))}`);
  const shown = message === undefined ? "" : `: ${printable(String(clean(message, redact)))}`;
  return `${time} ${name} ${event}${shown}${words.join("")}`;
}

/** Takes objects apart: a member of one becomes a field with the names of both, such as `client.name`. */
function flatFields(value: object, prefix = "", depth = 0): [key: string, value: unknown][] {
  return Object.entries(value).slice(0, MAX_WORDS).flatMap(([key, each]): [string, unknown][] => {
    if (each === undefined) return [];
    const isFlat = typeof each !== "object" || each === null ||
      (Array.isArray(each) && each.every((entry) => typeof entry !== "object"));
    if (isFlat) return [[prefix + key, each]];
    return depth < MAX_DEPTH ? flatFields(each, `${prefix}${key}.`, depth + 1) : [];
  });
}

function fieldText(value: unknown): string {
  if (Array.isArray(value)) return fieldText(value.join(","));
  const text = typeof value === "number" ? rounded(value) : String(value);
  return /^[^\s"=]+$/.test(text) ? printable(text) : JSON.stringify(printable(text));
}

/** Writes a number for eyes: three digits are enough. */
function rounded(value: number): string {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(3)));
}

/** Redacts and cuts a text; other values stay as they are, but big integers become texts. */
function clean(value: unknown, redact: Redact): unknown {
  if (typeof value === "bigint") return String(value);
  if (typeof value !== "string") return value;
  const redacted = redact(value);
  if (redacted.length <= MAX_LENGTH) return redacted;
  return `${redacted.slice(0, MAX_LENGTH).toWellFormed()}…`;
}

/**
 * Writes a text from outside on one line, where it can neither control the terminal nor hide anything.
 */
export function printable(text: string): string {
  return escapeInvisible(text.replace(/[\t\r\n]+/g, " "));
}

/** The levels of the endpoints' events. All others have the level info. */
const EVENT_LEVELS: Partial<Record<McpEvent["type"], Level>> = {
  "request-started": "debug",
  "stream-opened": "debug",
  "stream-resumed": "debug",
  "stream-closed": "debug",
  "message-dropped": "debug",
  "reply-unmatched": "debug",
  "refused": "warn",
  "resume-failed": "warn",
  "upstream-abandoned": "warn",
  "upstream-crashed": "error",
  "upstream-failed": "warn",
  "upstream-question-refused": "warn",
  "upstream-slow": "warn",
  "upstream-busy": "warn",
  "upstream-entries-dropped": "warn",
  "upstream-definition-withheld": "warn",
  "upstream-extension-withheld": "warn",
  "upstream-rule-unmatched": "warn",
  "upstream-message-dropped": "warn",
  "message-ignored": "warn",
  "node-lost": "warn",
  "request-lost": "warn",
  "error": "error",
};

/** The name of the endpoint for all servers together. */
export const ALL = "all";

/** Options for {@linkcode eventLogger}. */
export interface EventLoggerOptions {
  /**
   * Whether to log events of upstreams. Turn it off where another endpoint gets the same ones.
   *
   * @default {true}
   */
  readonly upstreams?: boolean;
}

/** Creates an `onEvent` that writes the events of one endpoint to the log. */
export function eventLogger(
  log: Log,
  endpoint: string,
  { upstreams = true }: EventLoggerOptions = {},
): (event: McpEvent) => void {
  return (event) => {
    const { type, ...fields } = event;
    // `mooring serve` says it once for all endpoints
    if (type === "anonymous") return;
    if (!upstreams && type.startsWith("upstream-")) return;
    const { error, ...rest } = { error: undefined, ...fields };
    log(EVENT_LEVELS[type] ?? "info", type, {
      endpoint,
      ...rest,
      ...error !== undefined && { message: messageOf(error), cause: causeOf(error) },
    });
  };
}

function causeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || error.cause === undefined) return undefined;
  return messageOf(error.cause);
}
