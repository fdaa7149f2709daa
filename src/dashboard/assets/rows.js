// @ts-self-types="./rows.d.ts"
/**
 * Holds and merges the rows that the dashboard sends: for its page, which loads this file as it is, and for
 * `mooring top`.
 *
 * @module
 */

/** The names of the tables. */
export const TABLES = [
  "nodes",
  "sessions",
  "calls",
  "streams",
  "refusals",
  "tools",
  "upstreams",
  "limits",
  "acts",
];

/** Creates empty tables: the rows of each by their key. */
export function emptyTables() {
  return Object.fromEntries(TABLES.map((name) => [name, new Map()]));
}

/** Applies the changes that the dashboard sent last. */
export function applyChanges(tables, { reset, set, del }) {
  for (const name of TABLES) {
    const table = tables[name];
    if (reset) table.clear();
    for (const key of del[name] ?? []) table.delete(key);
    for (const row of set[name] ?? []) table.set(row.key, row);
  }
}

/** Adds the counts of one node's buckets to those of another's. */
export function addBuckets(some, more) {
  return more.map((count, index) => count + (some[index] ?? 0));
}

/**
 * Estimates the duration below which a fraction of the calls stayed, in milliseconds, by linear interpolation
 * in its bucket.
 */
export function percentileOf(buckets, fraction, bounds) {
  const total = buckets.reduce((sum, count) => sum + count, 0);
  if (total === 0) return undefined;
  let left = fraction * total;
  for (const [index, count] of buckets.entries()) {
    if (count === 0) continue;
    const low = bounds[index - 1] ?? 0;
    const high = bounds[index] ?? low * 2;
    if (left <= count) return low + (high - low) * (left / count);
    left -= count;
  }
  return undefined;
}

/** Merges rows with the same name: `merge` returns what differs from the row, if there is one already. */
function merged(rows, nameOf, merge) {
  const all = new Map();
  for (const row of rows) {
    const key = `${row.endpoint}/${nameOf(row)}`;
    all.set(key, { ...row, key, ...merge(row, all.get(key)) });
  }
  return [...all.values()];
}

/** Merges the tools of all nodes. */
export function mergedTools(rows) {
  return merged(rows, ({ method, tool }) => `${method} ${tool}`, (row, known) => ({
    count: row.count + (known?.count ?? 0),
    errors: row.errors + (known?.errors ?? 0),
    ms: row.ms + (known?.ms ?? 0),
    buckets: addBuckets(known?.buckets ?? [], row.buckets),
  }));
}

/** Merges the refusals of all nodes by their reason. */
export function mergedRefusals(rows) {
  return merged(rows, ({ reason, status }) => `${reason} ${status}`, (row, known) => ({
    count: row.count + (known?.count ?? 0),
    lately: row.lately + (known?.lately ?? 0),
    lastAt: Math.max(row.lastAt, known?.lastAt ?? 0),
  }));
}

/** Merges the upstreams of all nodes: the worst health counts. */
export function mergedUpstreams(rows) {
  return merged(rows, ({ upstream }) => upstream, (row, known) => {
    const all = [row.health, known?.health];
    return {
      health: ["failing", "up", "idle"].find((each) => all.includes(each)),
      sessions: row.sessions + (known?.sessions ?? 0),
      calls: row.calls + (known?.calls ?? 0),
      failures: row.failures + (known?.failures ?? 0),
    };
  });
}
