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
  "history",
  "grants",
  "accounts",
  "acts",
];

/** Tells whether a method calls something of the server; all others are the protocol's own. */
export function isCall(method) {
  return method === "tools/call" || method === "prompts/get" || method === "resources/read";
}

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
  const length = Math.max(some.length, more.length);
  return Array.from({ length }, (_, index) => (some[index] ?? 0) + (more[index] ?? 0));
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
      programs: row.programs + (known?.programs ?? 0),
      calls: row.calls + (known?.calls ?? 0),
      failures: row.failures + (known?.failures ?? 0),
    };
  });
}

/** Merges the rows of a process: one for each node, with those of its endpoints inside. */
export function mergedNodes(rows) {
  const all = new Map();
  for (const row of rows) {
    const known = all.get(row.node);
    if (known === undefined) {
      all.set(row.node, { ...row, key: row.node, endpoint: "", endpoints: [row] });
      continue;
    }
    const states = [known.state, row.state];
    all.set(row.node, {
      ...known,
      endpoints: [...known.endpoints, row],
      // A process is lost or closing as a whole; it drains if one of its endpoints does.
      state: ["lost", "closing", "draining", "healthy"].find((each) => states.includes(each)),
      self: known.self || row.self,
      drainingAll: known.drainingAll && row.drainingAll,
      sessions: known.sessions + row.sessions,
      calls: known.calls + row.calls,
      streams: known.streams + row.streams,
      minute: addMinutes(known.minute, row.minute),
      watchedSince: Math.min(known.watchedSince, row.watchedSince),
      seenAt: Math.max(known.seenAt, row.seenAt),
    });
  }
  return [...all.values()];
}

function addMinutes(some, more) {
  return {
    count: some.count + more.count,
    errors: some.errors + more.errors,
    requests: some.requests + more.requests,
    buckets: addBuckets(some.buckets, more.buckets),
  };
}

/** Sums up the last minute of all nodes that aren't lost. */
export function lastMinute(rows) {
  return rows.filter(({ state }) => state !== "lost").reduce(
    (sum, { minute }) => addMinutes(sum, minute),
    { count: 0, errors: 0, requests: 0, buckets: [] },
  );
}

/**
 * Sums up the history of all nodes: a point for each 15 seconds from the first one to `at`. Where a node has
 * none, nothing has happened, and there is what there was before.
 */
export function mergedHistory(rows, at, slotMs = 15_000, most = 240) {
  const last = Math.floor(at / slotMs) * slotMs;
  const oldest = last - slotMs * (most - 1);
  const nodes = new Map();
  let first = last;
  for (const row of rows) {
    if (row.at > last) continue;
    first = Math.min(first, Math.max(row.at, oldest));
    const name = `${row.endpoint}/${row.node}`;
    const known = nodes.get(name) ?? new Map();
    nodes.set(name, known.set(row.at, row));
  }
  const points = [];
  const empty = { sessions: 0, calls: 0, streams: 0 };
  const gauges = new Map();
  for (let time = first; time <= last; time += slotMs) {
    const point = { at: time, count: 0, errors: 0, requests: 0, buckets: [], ...empty };
    for (const [name, known] of nodes) {
      const row = known.get(time);
      if (row !== undefined) {
        gauges.set(name, row);
        point.count += row.count;
        point.errors += row.errors;
        point.requests += row.requests;
        point.buckets = addBuckets(point.buckets, row.buckets);
      }
      const { sessions, calls, streams } = gauges.get(name) ?? empty;
      point.sessions += sessions;
      point.calls += calls;
      point.streams += streams;
    }
    points.push(point);
  }
  return points;
}
