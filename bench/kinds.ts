/**
 * What is measured.
 *
 * @module
 */

/** What a figure is of. */
export type Unit =
  /** Operations per CPU second, as a share of the floor's. */
  | "floor"
  /** Operations per CPU second, as a share of the same stack's with one session. */
  | "own"
  /** Requests per second over HTTP, as a share of the floor's; and the 99th percentile as a multiple. */
  | "http"
  /** Bytes of heap for each thing that is there. */
  | "bytes"
  /** The longest pause, in milliseconds. */
  | "pause";

/** One kind of work. */
export interface Kind {
  /** What it is, for the table. */
  readonly title: string;
  readonly unit: Unit;
  /** How many tools the server has. */
  readonly tools?: number;
  /** How many sessions there are before the clock starts. */
  readonly sessions?: number;
  /** Whether it is one of the few that `bench:quick` runs. */
  readonly quick?: true;
}

/** How many sessions call in turn. */
export const CALLERS = 10;

/** How many notifications of progress one call sends. */
export const PROGRESS = 20;

/** Every kind of work, in the order of the table. */
export const KINDS = {
  "json": { title: "`tools/call` in a session, as JSON", unit: "floor", quick: true },
  "sse": { title: "`tools/call` in a session, as SSE", unit: "floor", quick: true },
  "modern": { title: "`tools/call` of 2026-07-28", unit: "floor", quick: true },
  "initialize": { title: "`initialize`", unit: "floor", quick: true },
  "list-1": { title: "`tools/list` of 1 tool", unit: "floor", tools: 1 },
  "list-100": { title: "`tools/list` of 100 tools", unit: "floor", tools: 100 },
  "list-1000": { title: "`tools/list` of 1,000 tools", unit: "floor", tools: 1000, quick: true },
  "progress": { title: "a call with 20 messages of progress", unit: "floor", quick: true },
  "notify": { title: "one `notify` to each of 1,000 streams", unit: "floor", sessions: 1000 },
  "live-10000": { title: "`tools/call` beside 10,000 sessions", unit: "own", sessions: 10_000 },
  "live-100000": { title: "`tools/call` beside 100,000 sessions", unit: "own", sessions: 100_000 },
  "http": { title: "`tools/call` over HTTP, 64 connections", unit: "http" },
  "session-heap": { title: "an idle session", unit: "bytes", sessions: 10_000 },
  "stream-heap": { title: "an open GET stream", unit: "bytes", sessions: 10_000 },
  "sweep": { title: "expiry of 100,000 sessions", unit: "pause", sessions: 100_000 },
  "evict": { title: "`initialize` at a cap of 100,000", unit: "pause", sessions: 100_000 },
} as const satisfies Readonly<Record<string, Kind>>;

/** The name of a kind of work. */
export type KindName = keyof typeof KINDS;

/** Every name of a kind. */
export const KIND_NAMES = Object.keys(KINDS) as readonly KindName[]; // the keys of a constant

/** Whether a text names a kind. */
export function isKind(text: string): text is KindName {
  return Object.hasOwn(KINDS, text);
}

/** What is known about a kind. */
export function kindOf(name: KindName): Kind {
  return KINDS[name];
}
