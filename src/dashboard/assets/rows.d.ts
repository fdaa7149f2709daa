/**
 * Types of `rows.js`, which the page loads as it is.
 *
 * @module
 */
import type {
  HistoryRow,
  LastMinuteCounts,
  NodeRow,
  RefusalRow,
  Tables,
  ToolRow,
  UpstreamRow,
} from "../operator/types.ts";

/** The rows of each table, by their key. */
export type RowMaps = Readonly<Record<keyof Tables, Map<string, { readonly key: string }>>>;

/** What the dashboard sends: everything at first, then what has changed. */
export interface RowChanges {
  /** Whether the rows so far are gone. */
  readonly reset: boolean;
  /** The new and changed rows. */
  readonly set: Partial<Tables>;
  /** The keys of the rows that are gone. */
  readonly del: Partial<Record<keyof Tables, readonly string[]>>;
}

/** Creates empty tables. */
export function emptyTables(): RowMaps;

/** Applies the changes that the dashboard sent last. */
export function applyChanges(tables: RowMaps, changes: RowChanges): void;

/** Adds the counts of one node's buckets to those of another's. */
export function addBuckets(some: readonly number[], more: readonly number[]): number[];

/**
 * Estimates the duration below which a fraction of the calls stayed, in milliseconds, by linear interpolation
 * in its bucket.
 *
 * @param buckets The counts; the last has no upper bound
 * @param fraction From 0 to 1
 * @param bounds The upper bounds of the buckets, in milliseconds
 * @returns `undefined` if nothing was counted
 */
export function percentileOf(
  buckets: readonly number[],
  fraction: number,
  bounds: readonly number[],
): number | undefined;

/** Merges the tools of all nodes. */
export function mergedTools(rows: readonly ToolRow[]): ToolRow[];

/** Merges the refusals of all nodes by their reason. */
export function mergedRefusals(rows: readonly RefusalRow[]): RefusalRow[];

/** Merges the upstreams of all nodes: the worst health counts. */
export function mergedUpstreams(rows: readonly UpstreamRow[]): UpstreamRow[];

/** Tells whether a method calls something of the server; all others are the protocol's own. */
export function isCall(method: string): boolean;

/** A node with its endpoints inside. */
export interface MergedNode extends NodeRow {
  /** The rows of its endpoints. */
  readonly endpoints: readonly NodeRow[];
}

/** Merges the rows of a process: one for each node, with those of its endpoints inside. */
export function mergedNodes(rows: readonly NodeRow[]): MergedNode[];

/** Sums up the last minute of all nodes that aren't lost. */
export function lastMinute(rows: readonly NodeRow[]): LastMinuteCounts;

/** A point of the history of all nodes. */
export type MergedPoint = Omit<HistoryRow, "key" | "endpoint" | "node">;

/**
 * Sums up the history of all nodes: a point for each 15 seconds from the first one to `at`, an hour at most.
 *
 * @param at The time, in milliseconds since the epoch
 */
export function mergedHistory(rows: readonly HistoryRow[], at: number): MergedPoint[];
