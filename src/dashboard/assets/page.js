// The dashboard's page: receives rows and their changes, and shows one table at a time, a page of it.
// Text from outside only ever becomes text nodes.

import {
  applyChanges,
  emptyTables,
  isCall,
  lastMinute,
  mergedHistory,
  mergedNodes,
  mergedRefusals,
  mergedTools,
  mergedUpstreams,
  percentileOf,
} from "./rows.js";

const PAGE = 50;
const SVG = "http://www.w3.org/2000/svg";
const FILTERS = ["principal", "tool", "upstream", "node"];

const byId = (id) => document.getElementById(id);

/** Everything that the page knows. */
const state = {
  tables: emptyTables(),
  at: 0,
  /** The server's clock minus this one's, in milliseconds. */
  ahead: 0,
  omitted: 0,
  hello: undefined,
  connected: false,
  /** The number of issuers of principals' credentials. */
  issuers: 0,
  tab: "overview",
  filters: Object.fromEntries(FILTERS.map((name) => [name, ""])),
  sort: {},
  page: {},
  opened: undefined,
  /** What the side panel is about: a title and a query, or a node. */
  panel: undefined,
  /** What a node had when it began to drain, by its key. */
  drained: new Map(),
};

/* Small helpers */

function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) node.setAttribute(name, String(value));
  }
  node.append(...children);
  return node;
}

function svg(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, String(value));
  node.append(...children);
  return node;
}

const now = () => Date.now() + state.ahead;
const rowsOf = (table) => [...state.tables[table].values()];
const sum = (rows, of) => rows.reduce((total, row) => total + of(row), 0);
const plural = (count, one, many = `${one}s`) => `${number(count)} ${count === 1 ? one : many}`;
const number = (value) => value.toLocaleString("en-US");

/** Writes a duration in milliseconds. */
function duration(ms) {
  if (ms === undefined) return "–";
  if (ms < 10) return `${Math.max(0, ms).toFixed(ms > 0 && ms < 10 ? 1 : 0)} ms`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1_000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} m ${String(Math.floor(seconds % 60)).padStart(2, "0")} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, "0")} m`;
  return `${Math.floor(hours / 24)} days`;
}

/** Writes the whole seconds since a time: ages don't need more. */
function age(at) {
  const seconds = Math.max(0, Math.floor((now() - at) / 1_000));
  return seconds < 60 ? `${seconds} s` : duration(seconds * 1_000);
}

function bytes(value) {
  if (value < 1_024) return `${value} B`;
  if (value < 1_048_576) return `${(value / 1_024).toFixed(1)} KiB`;
  return `${(value / 1_048_576).toFixed(1)} MiB`;
}

const percent = (fraction) =>
  fraction === 0 ? "0 %" : `${(fraction * 100).toFixed(fraction < 0.1 ? 1 : 0)} %`;

/** Estimates the duration below which a fraction of the calls stayed. */
const percentile = (buckets, fraction) =>
  percentileOf(buckets, fraction, state.hello?.bounds ?? []);

/* Rows: filtered, merged, sorted */

/** Returns whether a row passes the filters that concern it. */
function passes(row) {
  for (const name of FILTERS) {
    const wanted = state.filters[name].toLowerCase();
    if (wanted === "") continue;
    const values = name === "node" && row.nodes !== undefined ? row.nodes : [row[name]];
    if (values[0] === undefined && values.length === 1) continue;
    if (!values.some((value) => value.toLowerCase().includes(wanted))) return false;
  }
  return true;
}

/** The tools of all nodes: the filter of nodes applies before. */
function toolRows(calls = true) {
  return mergedTools(rowsOf("tools").filter((row) => isCall(row.method) === calls && passes(row)))
    .map((row) => ({
      ...row,
      p50: percentile(row.buckets, 0.5),
      p95: percentile(row.buckets, 0.95),
      p99: percentile(row.buckets, 0.99),
    }));
}

const methodRows = () => toolRows(false);
const nodeRows = () => mergedNodes(rowsOf("nodes").filter(passes));
const refusalRows = () => mergedRefusals(rowsOf("refusals").filter(passes));
const upstreamRows = () => mergedUpstreams(rowsOf("upstreams").filter(passes));

/** Counts what each principal has. */
function principalRows() {
  const merged = new Map();
  const entry = (row) => {
    const key = `${row.endpoint}/${row.issuer}/${row.principal}`;
    let known = merged.get(key);
    if (known === undefined) {
      const { endpoint, principal, issuer } = row;
      known = { key, endpoint, principal, issuer, sessions: 0, calls: 0, streams: 0, usedAt: 1 };
      merged.set(key, known);
    }
    return known;
  };
  for (const row of rowsOf("sessions").filter(passes)) {
    if (row.principal === "") continue;
    const known = entry(row);
    known.sessions += 1;
    if (row.usedAt === 0 || known.usedAt === 0) known.usedAt = 0;
    else known.usedAt = Math.max(known.usedAt, row.usedAt);
  }
  for (const row of rowsOf("calls").filter(passes)) {
    const known = entry(row);
    known.calls += 1;
    known.usedAt = 0;
  }
  for (const row of rowsOf("streams").filter(passes)) if (row.principal) entry(row).streams += 1;
  return [...merged.values()];
}

const MERGED = {
  tools: () => toolRows(),
  methods: methodRows,
  nodes: nodeRows,
  refusals: refusalRows,
  principals: principalRows,
};

function shownRows(table) {
  return MERGED[table]?.() ?? rowsOf(table).filter(passes);
}

/* Drawings */

function histogram(buckets) {
  const bars = [];
  for (let at = 0; at < buckets.length; at += 2) bars.push(buckets[at] + (buckets[at + 1] ?? 0));
  const most = Math.max(1, ...bars);
  const drawn = bars.map((count, index) => {
    const height = count === 0 ? 1 : Math.max(2, (count / most) * 20);
    return svg("rect", {
      x: index * 6,
      y: 21 - height,
      width: 4.6,
      height,
      rx: 1,
      ...count === 0 && { class: "base" },
    });
  });
  const label = `Half within ${duration(percentile(buckets, 0.5))}, 99 % within ` +
    duration(percentile(buckets, 0.99));
  return svg(
    "svg",
    { class: "histogram", viewBox: `0 0 ${bars.length * 6} 22`, role: "img", "aria-label": label },
    svg("title", {}, label),
    ...drawn,
  );
}

function meter(fraction, levels = true) {
  const level = !levels ? "" : fraction >= 0.9 ? " bad" : fraction >= 0.7 ? " warn" : "";
  const width = Math.min(100, Math.max(fraction > 0 ? 1.5 : 0, fraction * 100));
  const drawn = svg(
    "svg",
    { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { x: 0, y: 0, width, height: 10 }),
  );
  return el("span", { class: `meter${level}` }, drawn);
}

function chip(level, text) {
  return el("span", { class: "chip" }, el("span", { class: `dot ${level}` }), text);
}

function withSub(text, sub) {
  const span = el("span", {}, text);
  if (sub) span.append(el("span", { class: "sub" }, sub));
  return span;
}

/* Tables: the columns of each. `value` sorts and is exported, `show` writes, `mark` tells of changes. */

const column = (name, title, more = {}) => ({ name, title, value: (row) => row[name], ...more });
const numeric = (name, title, more = {}) => column(name, title, { number: true, ...more });
const action = (text, act, more = {}) => ({ name: "act", title: "", action: text, act, ...more });
/** What a click on a cell shows in the side panel; nothing for an empty one. */
const about = (title, query) => ({ title, query });
const aboutUser = ({ endpoint, principal, issuer }) =>
  principal ? about(principal, { endpoint, principal, issuer }) : undefined;
const aboutSession = ({ endpoint, session }) =>
  session ? about(`Session ${session}`, { endpoint, session }) : undefined;
const aboutTool = ({ endpoint, tool, method }) =>
  tool ? about(tool, { endpoint, tool, method }) : about(method, { endpoint, method });
const principal = column("principal", "Principal", {
  open: aboutUser,
  show: (row) => withSub(row.principal || "–", state.issuers > 1 ? row.issuer : ""),
  mark: (row) => `${row.principal} ${row.issuer} ${state.issuers > 1}`,
});
/** Shows a tool with its upstream, unless its name begins with that. */
const tool = column("tool", "Tool", {
  open: aboutTool,
  value: (row) => row.tool || row.method,
  show: (row) =>
    withSub(row.tool || row.method, row.tool.startsWith(row.upstream) ? "" : row.upstream),
  mark: (row) => `${row.tool} ${row.method} ${row.upstream}`,
});
const endpoint = column("endpoint", "Endpoint", { many: true });
const node = column("node", "Node");
const session = column("session", "Session", {
  mono: true,
  open: aboutSession,
  show: (row) => row.session || "–",
});

const NODE_LEVELS = { healthy: "ok", draining: "warn", closing: "warn", lost: "bad" };
const HEALTH_LEVELS = { up: "ok", idle: "", failing: "bad" };

const COLUMNS = {
  calls: [
    tool,
    principal,
    column("client", "Client"),
    endpoint,
    node,
    session,
    column("progress", "Progress", {
      value: (row) => row.progress?.value ?? -1,
      show: progressOf,
      mark: (row) => JSON.stringify(row.progress),
    }),
    numeric("startedAt", "Running", {
      value: (row) => row.startedAt === 0 ? 0 : now() - row.startedAt,
      show: (row) => row.startedAt === 0 ? "–" : age(row.startedAt),
    }),
    action("Cancel", (row) => ({
      title: `Cancel this call of ${row.tool || row.method}?`,
      text: `${row.principal || "Its client"} gets an error that says that an operator cancelled ` +
        "it. What the tool has done already stays done.",
      yes: "Cancel the call",
      request: { act: "cancel-call", endpoint: row.endpoint, node: row.node, id: row.id },
    }), { danger: true }),
  ],
  sessions: [
    session,
    principal,
    column("client", "Client"),
    column("version", "Version"),
    endpoint,
    column("nodes", "Node", {
      value: (row) => row.nodes.join(", "),
      show: (row) => row.nodes.join(", ") || "–",
    }),
    numeric("calls", "Calls"),
    numeric("streams", "Streams"),
    numeric("beganAt", "Age", {
      value: (row) => now() - row.beganAt,
      show: (row) => age(row.beganAt),
    }),
    numeric("usedAt", "Idle", {
      value: (row) => row.usedAt === 0 ? 0 : now() - row.usedAt,
      show: (row) => row.usedAt === 0 ? "in use" : age(row.usedAt),
      level: (row) => row.usedAt === 0 ? "" : "quiet",
    }),
    action("End", (row) => ({
      title: `End session ${row.session}?`,
      text: `Its ${plural(row.calls, "call")} and ${plural(row.streams, "stream")} end. ` +
        "The client has to begin a new session.",
      yes: "End the session",
      request: { act: "end-session", endpoint: row.endpoint, session: row.session },
    }), { danger: true }),
  ],
  principals: [
    column("principal", "Principal", { open: aboutUser }),
    column("issuer", "Issuer"),
    endpoint,
    numeric("sessions", "Sessions"),
    numeric("calls", "Running calls"),
    numeric("streams", "Streams"),
    numeric("usedAt", "Idle", {
      value: (row) => row.usedAt <= 1 ? 0 : now() - row.usedAt,
      show: (row) => row.usedAt === 0 ? "in use" : row.usedAt === 1 ? "–" : age(row.usedAt),
    }),
    action("End all", (row) => ({
      title: `End everything of ${row.principal}?`,
      text: `${plural(row.sessions, "session")} and ${plural(row.calls, "running call")} end, at ` +
        "every node. It doesn't keep the user from beginning new ones.",
      yes: "End all",
      request: {
        act: "end-principal",
        endpoint: row.endpoint,
        principal: row.principal,
        issuer: row.issuer,
      },
    }), { danger: true }),
  ],
  grants: [
    column("principal", "User", {
      open: aboutUser,
      show: (row) => withSub(row.name, row.name === row.principal ? "" : row.principal),
      mark: (row) => `${row.name} ${row.principal}`,
    }),
    column("client", "Client", {
      show: (row) =>
        withSub(row.client, row.clientKind === "registered" ? "not verified" : row.clientId),
      mark: (row) => `${row.client} ${row.clientId}`,
    }),
    column("scopes", "Scopes"),
    column("resource", "For", { mono: true }),
    numeric("since", "Since", { value: (row) => now() - row.since, show: (row) => age(row.since) }),
    numeric("usedAt", "Last used", {
      value: (row) => now() - row.usedAt,
      show: (row) => age(row.usedAt),
    }),
    action("End", (row) => ({
      title: `End what ${row.name} has allowed ${row.client}?`,
      text: "Its tokens stop, and the sessions and streams of this user with this client end, at " +
        "every node. The user is asked again when the client signs in anew.",
      yes: "End the grant",
      request: { act: "end-grant", grant: row.grant },
    }), { danger: true }),
    action("End all of user", (row) => ({
      title: `End everything that ${row.name} has allowed?`,
      text:
        "The tokens of all clients of this user stop, and all sessions and streams of the user " +
        "end, at every node. It doesn't keep the user from signing in again.",
      yes: "End all grants",
      request: { act: "end-grants", principal: row.principal, issuer: row.issuer },
    }), { name: "act-all", danger: true }),
  ],
  accounts: [
    principal,
    column("upstream", "Upstream", {
      show: (row) => withSub(row.upstream, row.server),
      mark: (row) => `${row.upstream} ${row.server}`,
    }),
    column("scopes", "Scopes"),
    column("ended", "State", {
      value: (row) => row.ended ? 1 : 0,
      show: (row) => row.ended ? chip("warn", "asks again") : chip("ok", "connected"),
      mark: (row) => String(row.ended),
    }),
    numeric("since", "Since", { value: (row) => now() - row.since, show: (row) => age(row.since) }),
    numeric("renewedAt", "Last renewed", {
      value: (row) => now() - row.renewedAt,
      show: (row) => age(row.renewedAt),
    }),
    action("Disconnect", (row) => ({
      title: `Disconnect ${row.principal} from ${row.upstream}?`,
      text:
        "The tokens of this account are forgotten here and revoked at the server. The user is " +
        "asked to sign in there again at the next call.",
      yes: "Disconnect the account",
      request: { act: "disconnect-account", account: row.account },
    }), { danger: true }),
  ],
  streams: [
    column("kind", "Kind"),
    session,
    principal,
    endpoint,
    node,
    numeric("cursor", "Cursor"),
    numeric("backlog", "Backlog"),
    numeric("buffered", "Unread", { show: (row) => bytes(row.buffered) }),
    column("slow", "Reader", {
      value: (row) => row.slow ? 1 : 0,
      show: (row) => row.slow ? chip("warn", "slow") : chip("ok", "keeps up"),
      mark: (row) => String(row.slow),
    }),
  ],
  tools: [
    tool,
    endpoint,
    numeric("count", "Calls", { show: (row) => number(row.count) }),
    numeric("p50", "p50", { show: (row) => duration(row.p50) }),
    numeric("p95", "p95", { show: (row) => duration(row.p95) }),
    numeric("p99", "p99", { show: (row) => duration(row.p99) }),
    numeric("errors", "Errors", {
      value: (row) => row.errors / row.count,
      show: (row) => row.errors === 0 ? "–" : percent(row.errors / row.count),
      level: (row) => row.errors === 0 ? "quiet" : row.errors / row.count >= 0.05 ? "bad" : "warn",
    }),
    column("buckets", "1 ms – 1 h", {
      value: (row) => row.count,
      show: (row) => histogram(row.buckets),
      mark: (row) => row.buckets.join(),
    }),
  ],
  upstreams: [
    column("upstream", "Upstream", {
      open: ({ endpoint, upstream }) => about(upstream, { endpoint, upstream }),
    }),
    column("health", "Health", {
      show: (row) => chip(HEALTH_LEVELS[row.health], row.health),
      mark: (row) => row.health,
    }),
    column("kind", "Kind"),
    endpoint,
    node,
    numeric("sessions", "Sessions"),
    numeric("programs", "Programs"),
    numeric("calls", "Calls"),
    numeric("failures", "Failures", { level: (row) => row.failures > 0 ? "warn" : "quiet" }),
    column("failure", "Last failure", {
      show: (row) => row.failure === "" ? "–" : withSub(row.failure, `${age(row.failedAt)} ago`),
      mark: (row) => `${row.failure} ${row.failure === "" ? "" : age(row.failedAt)}`,
    }),
    {
      name: "output",
      title: "",
      action: "Output",
      disabled: (row) => row.output.length === 0,
      press: (row) => {
        state.opened = state.opened === row.key ? undefined : row.key;
        render();
      },
    },
    action("Restart", (row) => ({
      title: `Restart ${row.upstream}?`,
      text:
        `Its sessions end at every node (${row.sessions} here), and their running calls fail. ` +
        "The next call opens a new one.",
      yes: "Restart",
      request: { act: "restart-upstream", endpoint: row.endpoint, upstream: row.upstream },
    }), { danger: true }),
  ],
  refusals: [
    column("reason", "True reason", {
      mono: true,
      open: ({ endpoint, reason }) => about(`Refused: ${reason}`, { endpoint, reason }),
    }),
    numeric("status", "Status"),
    endpoint,
    numeric("lately", "Last minute", { level: (row) => row.lately === 0 ? "quiet" : "warn" }),
    numeric("count", "All", { show: (row) => number(row.count) }),
    numeric("lastAt", "Last", {
      value: (row) => now() - row.lastAt,
      show: (row) => `${age(row.lastAt)} ago`,
    }),
  ],
  limits: [
    column("limit", "Limit", { mono: true, show: (row) => row.limit.replace("limits.", "") }),
    endpoint,
    node,
    column("full", "Full", {
      value: (row) => row.used / Math.max(1, row.most),
      show: (row) => meter(row.used / Math.max(1, row.most)),
      mark: (row) => `${row.used}/${row.most}`,
    }),
    numeric("share", "", {
      value: (row) => row.used / Math.max(1, row.most),
      show: (row) => percent(row.used / Math.max(1, row.most)),
    }),
    numeric("used", "Used", { show: (row) => amount(row, row.used) }),
    numeric("most", "Most", { show: (row) => amount(row, row.most) }),
  ],
  nodes: [
    column("node", "Node", {
      open: (row) => ({ title: row.node, node: row.node }),
      show: (row) => withSub(row.node, row.self ? "this node" : ""),
      mark: (row) => `${row.node} ${row.self}`,
    }),
    column("state", "State", {
      show: (row) => chip(NODE_LEVELS[row.state], stateText(row)),
      mark: stateText,
    }),
    column("endpoints", "Endpoints", {
      value: (row) => row.endpoints.length,
      show: (row) => row.endpoints.map(({ endpoint }) => endpoint || "the endpoint").join(", "),
    }),
    numeric("sessions", "Sessions in memory"),
    numeric("calls", "Calls"),
    numeric("streams", "Streams"),
    column("progress", "Drained", { value: drainedFraction, show: drainProgress, mark: drainMark }),
    numeric("watchedSince", "Watched", {
      value: (row) => now() - row.watchedSince,
      show: (row) => row.state === "lost" ? `lost ${age(row.seenAt)} ago` : age(row.watchedSince),
    }),
    {
      ...action("Drain", (row) => {
        const on = row.state !== "draining";
        return {
          title: on ? `Drain ${row.node}?` : `Stop draining ${row.node}?`,
          text: on
            ? `${endpointsText(row)} new sessions, so that clients begin them at other nodes. ` +
              "What runs there continues."
            : "It accepts new sessions again, unless the whole cluster drains.",
          yes: on ? "Drain the node" : "Stop draining",
          safe: !on,
          // Without an endpoint: all that the process has.
          request: { act: "drain-node", node: row.node, on },
        };
      }),
      danger: (row) => row.state !== "draining",
      label: (row) => row.state === "draining" ? "Stop draining" : "Drain",
      disabled: (row) =>
        row.state === "lost" || row.state === "closing" ||
        (row.state === "draining" && row.drainingAll),
    },
  ],
  acts: [
    numeric("at", "Time", {
      value: (row) => now() - row.at,
      show: (row) => new Date(row.at).toLocaleTimeString("en-GB"),
    }),
    column("operator", "Operator"),
    column("act", "Act"),
    column("target", "Target", { mono: true }),
    column("outcome", "Outcome", {
      show: (row) => chip(row.outcome === "done" ? "ok" : "bad", row.outcome),
      mark: (row) => row.outcome,
    }),
    column("message", "Result"),
  ],
};

COLUMNS.methods = COLUMNS.tools.map((one) => one === tool ? { ...one, title: "Method" } : one);

/** Says how a node is, and which of its endpoints drain. */
function stateText({ state, endpoints }) {
  const draining = endpoints.filter((row) => row.state === "draining");
  if (state !== "draining" || draining.length === endpoints.length) return state;
  return draining.length === 1
    ? `draining ${draining[0].endpoint}`
    : `draining ${draining.length} of ${endpoints.length} endpoints`;
}

function endpointsText({ endpoints }) {
  return endpoints.length === 1 ? "It refuses" : `Its ${endpoints.length} endpoints refuse`;
}

/** The order of each table at first: the column, and whether descending. */
const SORTS = {
  calls: ["startedAt", true],
  sessions: ["beganAt", false],
  principals: ["sessions", true],
  streams: ["backlog", true],
  tools: ["count", true],
  methods: ["count", true],
  upstreams: ["upstream", false],
  refusals: ["lately", true],
  limits: ["share", true],
  nodes: ["node", false],
  grants: ["usedAt", false],
  accounts: ["renewedAt", false],
  acts: ["at", false],
};

const EMPTY = {
  calls: ["No call is running", "Calls appear here the moment they start."],
  sessions: ["No sessions", "A session of the 2025 era begins with a client's initialize."],
  principals: ["Nobody is here", "Users with a session or a running call are listed."],
  streams: [
    "No open streams",
    "Long answers and server-to-client streams show their backlog here.",
  ],
  tools: ["No call has ended yet", "Counts begin when the dashboard starts."],
  methods: ["No request has ended yet", "The protocol's own requests, such as initialize."],
  upstreams: ["No upstreams", "This endpoint is no gateway: it answers by itself."],
  refusals: ["Nothing was refused", "Refused requests are grouped by their true reason."],
  limits: ["No limits", ""],
  nodes: ["No nodes", ""],
  grants: ["No grants", "A grant begins when a user signs in and allows a client."],
  accounts: ["No accounts", "An account is connected when a user signs in at an upstream."],
  acts: ["Nothing was done yet", "Whatever operators do is listed, here and in the audit."],
};

function amount({ limit }, value) {
  return limit.endsWith("Bytes") ? bytes(value) : number(value);
}

function progressOf({ progress }) {
  if (progress === undefined) return "–";
  const { value, total, message = "" } = progress;
  if (total === undefined || total <= 0) return withSub(number(value), message);
  const drawn = el("span", {}, meter(value / total, false), ` ${percent(value / total)}`);
  if (message !== "") drawn.append(el("span", { class: "sub" }, message));
  return drawn;
}

/** Returns the fraction of what a draining node had that has ended; -1 if it doesn't drain. */
function drainedFraction(row) {
  const begun = state.drained.get(row.key);
  if (row.state !== "draining" || begun === undefined) return -1;
  const left = row.calls + row.streams;
  return begun === 0 ? 1 : Math.max(0, 1 - left / begun);
}

function drainProgress(row) {
  const fraction = drainedFraction(row);
  if (fraction < 0) return "–";
  const left = `${plural(row.calls, "call")}, ${plural(row.streams, "stream")} left`;
  return el(
    "span",
    {},
    meter(fraction, false),
    el("span", { class: "sub" }, fraction === 1 ? "nothing left" : left),
  );
}

function drainMark(row) {
  return `${drainedFraction(row)} ${row.calls} ${row.streams}`;
}

/** A table that keeps its rows' elements, and changes only the cells that differ. */
class Table {
  #name;
  #columns;
  #head = el("tr");
  #body = el("tbody");
  #rows = new Map();
  #headMark = "";
  #sortable;
  element;

  constructor(name, columns, sortable) {
    this.#name = name;
    this.#columns = columns;
    this.#sortable = sortable;
    this.element = el(
      "div",
      { class: "scroll", tabindex: "0", role: "group", "aria-label": `Table: ${name}` },
      el("table", {}, el("thead", {}, this.#head), this.#body),
    );
  }

  update(rows) {
    const endpoints = new Set(rowsOf("nodes").map((row) => row.endpoint));
    const columns = this.#columns.filter((one) => !one.many || endpoints.size > 1);
    this.#updateHead(columns);
    const kept = new Map();
    let before = null;
    for (const row of rows) {
      let known = this.#rows.get(row.key);
      if (known === undefined || known.cells.length !== columns.length) {
        known?.line.remove();
        known = { line: el("tr", { "data-key": row.key }), cells: columns.map(() => ({})), row };
        known.cells.forEach((cell, index) => {
          cell.element = el("td", {
            class: classOf(columns[index]),
            "data-title": columns[index].title || undefined,
          });
          known.line.append(cell.element);
        });
      }
      known.row = row;
      columns.forEach((one, index) => updateCell(known, known.cells[index], one));
      kept.set(row.key, known);
      const expected = before === null ? this.#body.firstChild : before.nextSibling;
      if (expected !== known.line) this.#body.insertBefore(known.line, expected);
      before = known.line;
    }
    for (const [key, { line }] of this.#rows) {
      if (kept.get(key)?.line === line) continue;
      keepFocus(line);
      line.remove();
    }
    this.#rows = kept;
  }

  #updateHead(columns) {
    const [sorted, down] = state.sort[this.#name] ?? SORTS[this.#name];
    const mark = `${columns.map(({ name }) => name)} ${sorted} ${down}`;
    if (mark === this.#headMark) return;
    const focused = this.#head.contains(document.activeElement)
      ? document.activeElement.dataset.column
      : undefined;
    this.#headMark = mark;
    this.#head.replaceChildren(...columns.map((one) => {
      const sortable = this.#sortable && one.action === undefined && one.title !== "";
      const direction = sorted === one.name ? (down ? "descending" : "ascending") : undefined;
      const inner = sortable
        ? el("button", {
          type: "button",
          "data-column": one.name,
          onclick: () => this.#sort(one),
        }, one.title)
        : el("span", {}, one.title || hiddenText(one.action ?? "Share"));
      return el("th", {
        scope: "col",
        class: one.number ? "number" : "",
        "aria-sort": sortable ? direction ?? "none" : undefined,
      }, inner);
    }));
    if (focused !== undefined) this.#head.querySelector(`[data-column="${focused}"]`)?.focus();
  }

  #sort(one) {
    const [sorted, down] = state.sort[this.#name] ?? SORTS[this.#name];
    state.sort[this.#name] = [one.name, sorted === one.name ? !down : one.number === true];
    state.page[this.#name] = 0;
    render();
  }
}

function classOf(one) {
  if (one.action !== undefined) return "action";
  return [one.number ? "number" : "", one.mono ? "mono" : ""].join(" ").trim();
}

const hiddenText = (text) => el("b", { class: "hidden-text" }, text);

/** Moves the focus of a row that goes to the one that takes its place, or to the table. */
function keepFocus(line) {
  const focused = document.activeElement;
  if (!line.contains(focused)) return;
  const column = [...line.children].findIndex((cell) => cell.contains(focused));
  const place = line.nextElementSibling ?? line.previousElementSibling;
  const target = place?.children[column]?.querySelector("button:not(:disabled)") ??
    place?.querySelector("button");
  (target ?? byId("main")).focus();
}

/** Returns what the content of a cell goes into: a button if a click shows more. */
function contentOf(known, cell, one) {
  if (one.open === undefined) return cell.element;
  if (one.open(known.row) === undefined) {
    cell.link?.remove();
    cell.link = undefined;
    return cell.element;
  }
  if (cell.link === undefined) {
    cell.link = el("button", { type: "button", class: "link" });
    cell.link.addEventListener("click", () => openPanel(one.open(known.row)));
    cell.element.replaceChildren(cell.link);
    cell.marked = false;
  }
  return cell.link;
}

function updateCell(known, cell, one) {
  const { row } = known;
  if (one.action !== undefined) {
    if (cell.button === undefined) {
      cell.button = el("button", { type: "button", class: "act" }, "");
      cell.button.addEventListener("click", () => {
        if (one.press !== undefined) one.press(known.row);
        else confirmAct(one.act(known.row));
      });
      cell.element.append(cell.button);
    }
    const text = one.label?.(row) ?? one.action;
    if (cell.button.textContent !== text) cell.button.textContent = text;
    const dangerous = typeof one.danger === "function" ? one.danger(row) : one.danger === true;
    if (cell.button.classList.contains("danger") !== dangerous) {
      cell.button.classList.toggle("danger", dangerous);
    }
    if (one.act !== undefined) setOff(cell.button);
    const disabled = one.disabled?.(row) ?? false;
    if (cell.button.disabled !== disabled) cell.button.disabled = disabled;
    return;
  }
  const level = one.level?.(row) ?? "";
  if (level !== cell.level) {
    cell.element.className = `${classOf(one)} ${level}`.trim();
    cell.level = level;
  }
  if (one.mark !== undefined) {
    const mark = one.mark(row);
    if (cell.marked && mark === cell.mark) return;
    cell.mark = mark;
    cell.marked = true;
    contentOf(known, cell, one).replaceChildren(one.show(row));
    cell.element.title = cell.element.querySelector("svg") ? "" : cell.element.textContent;
    return;
  }
  const shown = one.show === undefined ? String(one.value(row) || "–") : one.show(row);
  const text = shown === "–" && one.number && one.value(row) === 0 ? "0" : shown;
  const element = contentOf(known, cell, one);
  if (element.textContent === text) return;
  element.textContent = text;
  cell.element.title = text.length > 24 ? text : "";
}

/** Turns an act off while the page reconnects: nobody knows what it would meet. It keeps its focus. */
function setOff(button) {
  const off = String(!state.connected);
  if (button.getAttribute("aria-disabled") !== off) button.setAttribute("aria-disabled", off);
}

function sortRows(table, rows) {
  const [name, down] = state.sort[table] ?? SORTS[table];
  const { value } = COLUMNS[table].find((one) => one.name === name);
  const keyed = rows.map((row) => [value(row), row]);
  keyed.sort(([one, a], [other, b]) => {
    const order = typeof one === "number" && typeof other === "number"
      ? one - other
      : String(one ?? "").localeCompare(String(other ?? ""));
    return (down ? -order : order) || (a.key < b.key ? -1 : 1);
  });
  return keyed.map(([, row]) => row);
}

/* The tab of one table */

function emptyState(table) {
  const filtered = FILTERS.some((name) => state.filters[name] !== "");
  const [title, text] = filtered && table !== "acts"
    ? ["Nothing passes the filters", "Clear them to see everything."]
    : EMPTY[table];
  return el("div", { class: "empty" }, el("strong", {}, title), text);
}

class TableView {
  #name;
  #table;
  #pager;
  #status = el("span");
  #empty = el("div");
  #output = el("pre", { class: "output", tabindex: "0", hidden: "" });
  element;

  constructor(name) {
    this.#name = name;
    this.#table = new Table(name, COLUMNS[name], true);
    const turn = (by) => () => {
      state.page[name] = (state.page[name] ?? 0) + by;
      render();
    };
    this.#pager = el(
      "div",
      { class: "pager" },
      this.#status,
      el("button", { type: "button", onclick: turn(-1) }, "Previous"),
      el("button", { type: "button", onclick: turn(1) }, "Next"),
    );
    const head = name === "nodes" ? [el("header", {}, el("h2", {}, "Nodes"), drainButton())] : [];
    const parts = [...head, this.#table.element, this.#output, this.#empty, this.#pager];
    this.element = el("section", { class: "panel" }, ...parts);
    this.element.style.gridColumn = "1 / -1";
  }

  update() {
    const rows = sortRows(this.#name, shownRows(this.#name));
    const pages = Math.max(1, Math.ceil(rows.length / PAGE));
    const page = Math.min(Math.max(0, state.page[this.#name] ?? 0), pages - 1);
    state.page[this.#name] = page;
    this.#table.element.hidden = rows.length === 0;
    this.#empty.replaceChildren(...rows.length === 0 ? [emptyState(this.#name)] : []);
    this.#table.update(rows.slice(page * PAGE, (page + 1) * PAGE));
    this.#pager.hidden = rows.length <= PAGE;
    const first = number(page * PAGE + 1);
    const last = number(Math.min(rows.length, (page + 1) * PAGE));
    const text = `${first}–${last} of ${number(rows.length)}`;
    if (this.#status.textContent !== text) this.#status.textContent = text;
    const [, previous, next] = this.#pager.children;
    previous.disabled = page === 0;
    next.disabled = page === pages - 1;
    const opened = this.#name === "upstreams"
      ? state.tables.upstreams.get(state.opened)
      : undefined;
    this.#output.hidden = opened === undefined;
    const output = opened?.output.join("\n") ?? "";
    if (this.#output.textContent !== output) {
      this.#output.textContent = output;
      this.#output.scrollTop = this.#output.scrollHeight;
    }
  }
}

/* The overview */

const only = (table, names) => COLUMNS[table].filter(({ name }) => names.includes(name));

/** The panels: table, title, width, columns, rows, and which rows. */
const PANELS = [
  {
    table: "calls",
    title: "Running calls",
    width: "wide",
    columns: only("calls", ["tool", "principal", "node", "progress", "startedAt", "act"]),
    most: 8,
  },
  {
    table: "nodes",
    title: "Nodes",
    width: "narrow",
    columns: only("nodes", ["node", "state", "calls", "streams"]),
    most: 8,
    drain: true,
  },
  {
    table: "tools",
    title: "Tools",
    width: "wide",
    columns: only("tools", ["tool", "count", "p50", "p95", "p99", "errors", "buckets"]),
    most: 8,
  },
  {
    table: "refusals",
    title: "Refusals",
    width: "narrow",
    columns: only("refusals", ["reason", "lately", "count"]),
    most: 8,
  },
  {
    table: "upstreams",
    title: "Upstreams",
    width: "wide",
    columns: only("upstreams", ["upstream", "health", "kind", "sessions", "calls", "failures"]),
    most: 8,
    rows: upstreamRows,
    optional: true,
  },
  {
    table: "limits",
    title: "Fullest limits",
    width: "narrow",
    columns: only("limits", ["limit", "node", "full", "share"]),
    most: 6,
  },
  {
    table: "acts",
    title: "What operators did",
    width: "wide",
    columns: only("acts", ["at", "operator", "act", "target", "message"]),
    most: 5,
  },
];

class Overview {
  element = el("div", { class: "panels" });
  #panels = PANELS.map((panel) => {
    const table = new Table(panel.table, panel.columns, false);
    const empty = el("div");
    const more = el("button", {
      type: "button",
      class: "more",
      onclick: () => selectTab(panel.table, true),
    });
    const element = el(
      "section",
      { class: `panel ${panel.width}`, "data-panel": panel.table, "aria-label": panel.title },
      el("header", {}, el("h2", {}, panel.title), ...panel.drain ? [drainButton()] : [], more),
      table.element,
      empty,
    );
    this.element.append(element);
    return { ...panel, view: table, empty, more, element };
  });

  update() {
    for (const { table, most, view, empty, more, element, optional, rows: merge } of this.#panels) {
      const rows = sortRows(table, merge?.() ?? shownRows(table));
      element.hidden = optional === true && state.tables[table].size === 0;
      view.element.hidden = rows.length === 0;
      empty.replaceChildren(...rows.length === 0 ? [emptyState(table)] : []);
      view.update(rows.slice(0, most));
      more.hidden = rows.length === 0;
      const text = rows.length > most ? `All ${number(rows.length)}` : "Details";
      if (more.textContent !== text) more.textContent = text;
    }
  }
}

/* The frame */

const views = new Map();
let shownView;

function viewOf(tab) {
  let view = views.get(tab);
  if (view === undefined) {
    view = tab === "overview" ? new Overview() : new TableView(tab);
    views.set(tab, view);
  }
  return view;
}

const tabs = [...document.querySelectorAll("[role=tab]")];

function selectTab(name, focus = false) {
  state.tab = name;
  for (const tab of tabs) {
    const selected = tab.dataset.tab === name;
    tab.setAttribute("aria-selected", String(selected));
    tab.tabIndex = selected ? 0 : -1;
    if (selected && focus) tab.focus();
  }
  byId("main").setAttribute("aria-labelledby", `tab-${name}`);
  render();
}

function render() {
  const view = viewOf(state.tab);
  view.update();
  if (shownView !== view) byId("main").replaceChildren(view.element);
  shownView = view;
  for (const tab of tabs) {
    const name = tab.dataset.tab;
    if (name === "overview") continue;
    const count = byId(`count-${name}`);
    const text = state.hello === undefined ? "" : number(shownRows(name).length);
    if (count.textContent !== text) count.textContent = text;
  }
  renderStatus();
}

function renderStatus() {
  const nodes = rowsOf("nodes");
  const names = new Set(nodes.map((row) => row.node));
  const lost = new Set(nodes.filter((row) => row.state === "lost").map((row) => row.node));
  const draining = nodes.filter((row) => row.state === "draining" || row.state === "closing");
  const failing = new Set(
    rowsOf("upstreams").filter(({ health }) => health === "failing").map((row) => row.upstream),
  );
  let level = "ok";
  let text = names.size === 1 ? "Healthy" : `All ${names.size} nodes are healthy`;
  if (!state.connected) {
    [level, text] = ["waiting", state.at === 0 ? "Connecting…" : "Reconnecting…"];
  } else if (lost.size > 0) {
    [level, text] = ["bad", lost.size === 1 ? `Lost: ${[...lost][0]}` : `${lost.size} nodes lost`];
  } else if (draining.length > 0) {
    const drained = new Set(draining.map((row) => row.node));
    const who = drained.size === names.size
      ? "Draining"
      : `Draining ${drained.size} of ${names.size} nodes`;
    const left = `${plural(sum(draining, (row) => row.calls), "call")}, ` +
      `${plural(sum(draining, (row) => row.streams), "stream")} left`;
    [level, text] = ["warn", `${who}: ${left}`];
  } else if (failing.size > 0) {
    [level, text] = ["warn", `${plural(failing.size, "upstream")} failing: ${[...failing][0]}`];
  }
  const part = mergedNodes(draining).find((row) =>
    row.endpoints.length < nodes.filter(({ node }) => node === row.node).length
  );
  if (state.connected && lost.size === 0 && part !== undefined && names.size === 1) {
    const which = part.endpoints.map(({ endpoint }) => endpoint).join(", ");
    [level, text] = ["warn", `Draining ${which} of ${part.node}`];
  }
  const status = byId("status");
  if (document.body.dataset.connected !== String(state.connected)) {
    document.body.dataset.connected = String(state.connected);
  }
  if (status.dataset.state !== level) status.dataset.state = level;
  const shown = byId("status-text");
  if (shown.textContent !== text) shown.textContent = text;
  const left = state.omitted > 0 ? ` · ${number(state.omitted)} rows left out` : "";
  byId("live").textContent = state.at === 0
    ? ""
    : `${state.connected ? "Live" : "As of"} ${
      new Date(state.at).toLocaleTimeString("en-GB")
    }${left}`;
  const all = nodes.length > 0 && nodes.every((row) => row.drainingAll || row.state === "lost");
  setOff(byId("link"));
  setOff(byId("confirm-yes"));
  for (const button of drainButtons) {
    setOff(button);
    if (button.getAttribute("aria-pressed") === String(all)) continue;
    button.setAttribute("aria-pressed", String(all));
    button.classList.toggle("danger", !all);
    button.textContent = all ? "Stop draining" : "Drain the cluster";
  }
}

/** The buttons that drain the cluster: on the overview and among the nodes. */
const drainButtons = [];

function drainButton() {
  const button = el(
    "button",
    { type: "button", class: "drain danger", "aria-pressed": "false" },
    "Drain the cluster",
  );
  button.addEventListener("click", () => confirmDrain(button));
  drainButtons.push(button);
  return button;
}

/* Gauges */

const GAUGES = {
  sessions: (point) => [number(point.sessions), ""],
  calls: (point) => [number(point.calls), ""],
  rate: (
    point,
  ) => [point.rate === undefined ? "–" : point.rate.toFixed(point.rate < 10 ? 1 : 0), ""],
  p95: (point) => splitUnit(duration(point.p95)),
  errors: (point) => point.errors === undefined ? ["–", ""] : splitUnit(percent(point.errors)),
  streams: (point) => [number(point.streams), ""],
};

function splitUnit(text) {
  const [, value = text, unit = ""] = /^(\S+) (\S+)$/.exec(text) ?? [];
  return [value, unit];
}

/** From which values a gauge warns, and is bad. */
const LEVELS = { p95: [1_000, 5_000], errors: [0.01, 0.05] };

/** Sums up the last minute, as the nodes have counted it. */
function currentPoint() {
  const nodes = rowsOf("nodes");
  const { count, errors, requests, buckets } = lastMinute(nodes);
  const watched = Math.max(0, ...nodes.map(({ watchedSince }) => state.at - watchedSince));
  return {
    sessions: state.tables.sessions.size,
    calls: state.tables.calls.size,
    streams: state.tables.streams.size,
    rate: count / Math.min(60, Math.max(1, watched / 1_000)),
    p95: percentile(buckets, 0.95),
    errors: count === 0 ? undefined : errors / count,
    requests,
  };
}

/** Turns 15 seconds of the history into what the gauges show. */
function historyPoint({ count, errors, buckets, sessions, calls, streams }) {
  return {
    ...{ sessions, calls, streams, rate: count / 15, p95: percentile(buckets, 0.95) ?? 0 },
    errors: count === 0 ? 0 : errors / count,
  };
}

function renderGauges() {
  const point = currentPoint();
  // 15 seconds that aren't over yet would look like a fall: the line ends with what the card says.
  const over = mergedHistory(rowsOf("history"), state.at).filter(({ at }) =>
    at + 15_000 <= state.at
  );
  const history = [
    ...over.map(historyPoint),
    { ...point, p95: point.p95 ?? 0, errors: point.errors ?? 0 },
  ];
  const span = history.length < 2 ? "" : duration(history.length * 15_000);
  for (const [name, write] of Object.entries(GAUGES)) {
    const element = byId(`gauge-${name}`);
    const value = element.querySelector(".value");
    const [text, unit] = write(point);
    if (value.textContent !== text + unit) {
      value.replaceChildren(text, ...unit === "" ? [] : [el("span", { class: "unit" }, unit)]);
    }
    const [warn = Infinity, bad = Infinity] = LEVELS[name] ?? [];
    const level = point[name] >= bad ? "bad" : point[name] >= warn ? "warn" : "";
    if (element.dataset.level !== level) element.dataset.level = level;
    const note = name === "rate" && point.requests > 0
      ? `${plural(point.requests, "other request")} in the last minute`
      : "";
    setText(element.querySelector(".note"), note);
    const values = history.map((each) => each[name]);
    const most = Math.max(...values, 0);
    // Over the whole width, from the first point to now: the scale says how long that is.
    const step = 120 / Math.max(1, values.length - 1);
    const points = values.map((each, index) =>
      `${(index * step).toFixed(1)} ${(26 - (each / (most || 1)) * 22).toFixed(1)}`
    );
    const line = points.length < 2 ? "" : `M${points.join("L")}`;
    setPath(element.querySelector(".line"), line);
    setPath(element.querySelector(".area"), line === "" ? "" : `${line}L120 28L0 28Z`);
    const top = write({ ...point, [name]: most }).join(" ").trim();
    setText(element.querySelector(".scale"), span === "" ? "" : `${span} · up to ${top}`);
  }
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setPath(element, path) {
  if (element.getAttribute("d") !== path) element.setAttribute("d", path);
}

/* Acts */

const dialog = byId("confirm");
let decide = () => {};

/** Asks the operator, and acts after a yes. */
async function confirmAct({ title, text, yes, request, safe = false }) {
  if (!state.connected) return;
  const asked = document.activeElement;
  byId("confirm-title").textContent = title;
  byId("confirm-text").textContent = text;
  byId("confirm-yes").textContent = yes;
  byId("confirm-yes").classList.toggle("danger", !safe);
  dialog.showModal();
  byId("confirm-no").focus();
  const confirmed = await new Promise((resolve) => {
    decide = resolve;
  });
  if (dialog.open) dialog.close();
  if (asked.isConnected) asked.focus();
  if (!confirmed) return;
  await act(request);
}

byId("confirm-yes").addEventListener("click", () => state.connected && decide(true));
byId("confirm-no").addEventListener("click", () => decide(false));
dialog.addEventListener("close", () => decide(false));

async function act(request) {
  try {
    const response = await fetch("act", {
      method: "POST",
      headers: {
        "content-type": "application/json",
        "x-mooring-operator": state.hello?.token ?? "",
      },
      body: JSON.stringify(request),
    });
    if (!response.ok) {
      toast(false, (await response.text()).trim());
      return undefined;
    }
    const result = await response.json();
    toast(result.ok, result.message);
    return result;
  } catch {
    toast(false, "The server can't be reached");
    return undefined;
  }
}

function toast(good, text) {
  const shown = el("div", { class: good ? "toast" : "toast bad" }, text);
  byId("toasts").append(shown);
  setTimeout(() => shown.remove(), 6_000);
}

function confirmDrain(button) {
  const on = button.getAttribute("aria-pressed") !== "true";
  const running = plural(state.tables.calls.size, "running call");
  confirmAct({
    title: on ? "Drain the whole cluster?" : "Stop draining?",
    text: on
      ? `Every node refuses new sessions. Existing sessions and ${running} continue.`
      : "Every node accepts new sessions again, but those that drain by themselves.",
    yes: on ? "Drain the cluster" : "Stop draining",
    safe: !on,
    request: { act: "drain-cluster", on },
  });
}

byId("link").addEventListener("click", async () => {
  if (!state.connected) return;
  const made = await act({ act: "new-link" });
  if (made?.link === undefined) return;
  try {
    await navigator.clipboard.writeText(`${location.origin}${location.pathname}#${made.link}`);
    toast(true, "Copied. Send it to an operator: the first to open it is signed in");
  } catch {
    toast(false, "The browser doesn't allow this page to copy");
  }
});

/* Export */

/** Returns the rows that are shown, as JSON lines. */
function exported() {
  const tables = state.tab === "overview" ? PANELS.map(({ table }) => table) : [state.tab];
  return tables.flatMap((table) =>
    sortRows(table, shownRows(table)).map((row) => {
      const { key: _key, ...rest } = row;
      return `${JSON.stringify({ table, ...rest })}\n`;
    })
  ).join("");
}

byId("export").addEventListener("click", () => {
  const url = URL.createObjectURL(new Blob([exported()], { type: "application/jsonl" }));
  const time = new Date(now()).toISOString().replace(/[:.]/g, "-").slice(0, 19);
  el("a", { href: url, download: `mooring-${state.tab}-${time}.jsonl` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
});

/* The side panel: why did this fail? */

const panel = byId("panel");
let panelOpener;
let panelRead = 0;

/** Shows the last calls of something, or a node with its endpoints. */
function openPanel(about) {
  if (state.panel === undefined) panelOpener = document.activeElement;
  state.panel = { ...about, rows: undefined };
  panel.hidden = false;
  document.body.dataset.panel = "open";
  setText(byId("panel-title"), about.title);
  renderPanel();
  byId("panel-close").focus();
  readPanel();
}

function closePanel() {
  state.panel = undefined;
  panel.hidden = true;
  delete document.body.dataset.panel;
  (panelOpener?.isConnected ? panelOpener : byId("main")).focus();
}

byId("panel-close").addEventListener("click", closePanel);

async function readPanel() {
  const asked = state.panel;
  if (asked?.query === undefined) return;
  panelRead = Date.now();
  const query = new URLSearchParams(
    Object.entries(asked.query).filter(([, value]) => value !== undefined),
  );
  const response = await fetch(`recent?${query}`).catch(() => undefined);
  if (state.panel !== asked || !response?.ok) return;
  const rows = await response.json();
  if (state.panel !== asked) return;
  asked.rows = rows;
  renderPanel();
}

/** Reads the panel's rows again every few seconds. */
function refreshPanel() {
  if (state.panel === undefined) return;
  if (state.panel.node !== undefined) renderPanel();
  else if (Date.now() - panelRead >= 3_000) readPanel();
}

const OUTCOME_LEVELS = { result: "ok", "input-required": "ok" };
const time = (at) => new Date(at).toLocaleTimeString("en-GB");
const link = (text, press, more = {}) =>
  el("button", { type: "button", class: "link", onclick: press, ...more }, text);
const filterBy = (name, value) =>
  link(value, () => setFilter(name, value), { title: `Filter by this ${name}` });

function renderPanel() {
  const { title, query, node, rows } = state.panel;
  const body = byId("panel-body");
  // What has the focus is replaced by its like.
  const focused = body.contains(document.activeElement)
    ? document.activeElement.dataset.panelKey
    : undefined;
  body.replaceChildren(...node === undefined ? recentParts(query, rows, title) : nodeParts(node));
  body.querySelectorAll("button").forEach((button, index) => button.dataset.panelKey = index);
  if (focused !== undefined) body.querySelector(`[data-panel-key="${focused}"]`)?.focus();
}

function nodeParts(name) {
  const row = mergedNodes(rowsOf("nodes")).find((each) => each.node === name);
  if (row === undefined) return [el("p", { class: "quiet" }, "The node has left")];
  return [
    el("p", {}, "Filter by ", filterBy("node", name)),
    el(
      "ul",
      { class: "recent" },
      ...row.endpoints.map((each) => {
        const on = each.state !== "draining";
        const label = each.endpoint || "the endpoint";
        const button = el(
          "button",
          { type: "button", class: on ? "danger" : "" },
          on ? "Drain" : "Stop draining",
        );
        setOff(button);
        button.disabled = !["healthy", "draining"].includes(each.state) ||
          (!on && each.drainingAll);
        button.addEventListener("click", () =>
          confirmAct({
            title: `${on ? "Drain" : "Stop draining"} ${label} of ${name}?`,
            text: on
              ? "This endpoint refuses new sessions; the others of the node don't."
              : "This endpoint accepts new sessions again.",
            yes: on ? "Drain the endpoint" : "Stop draining",
            safe: !on,
            request: { act: "drain-node", endpoint: each.endpoint, node: name, on },
          }));
        return el(
          "li",
          {},
          el("strong", {}, label),
          " ",
          chip(NODE_LEVELS[each.state], each.state),
          el(
            "p",
            { class: "quiet" },
            `${plural(each.sessions, "session")}, ${plural(each.calls, "call")}, ` +
              plural(each.streams, "stream"),
          ),
          button,
        );
      }),
    ),
  ];
}

/** The filter that a query stands for, if there is one. */
function filterOf(query) {
  return ["principal", "tool", "upstream"].find((name) => query[name] !== undefined);
}

function recentParts(query, rows) {
  const parts = [];
  const filter = filterOf(query);
  if (filter !== undefined) parts.push(el("p", {}, "Filter by ", filterBy(filter, query[filter])));
  if (rows === undefined) return [...parts, el("p", { class: "quiet" }, "Reading…")];
  if (rows.missing.length > 0) {
    parts.push(el("p", { class: "warn" }, `Didn't answer: ${rows.missing.join(", ")}`));
  }
  if (rows.minutes.length > 0) parts.push(minutesChart(rows.minutes));
  if (query.upstream !== undefined) {
    for (const row of rowsOf("upstreams").filter((row) => row.upstream === query.upstream)) {
      if (row.failure === "") continue;
      parts.push(
        el("p", { class: "bad" }, `${row.node}: ${row.failure}, ${age(row.failedAt)} ago`),
      );
    }
  }
  if (query.reason === undefined) {
    parts.push(el("h3", {}, "Last calls"), recentList(rows.calls, callItem, "No call is kept"));
  }
  if (rows.refusals.length > 0 || query.reason !== undefined) {
    parts.push(
      el("h3", {}, "Last refusals"),
      recentList(rows.refusals, refusalItem, "No refusal is kept"),
    );
  }
  return parts;
}

function recentList(rows, item, none) {
  if (rows.length === 0) return el("p", { class: "quiet" }, none);
  return el("ul", { class: "recent" }, ...rows.slice(0, PAGE).map(item));
}

/** One value of a call or refusal, with what it is. */
function fact(name, value) {
  return value === "" || value === undefined ? [] : [el("dt", {}, name), el("dd", {}, value)];
}

function callItem(row) {
  const name = row.tool || row.method;
  const { endpoint, request } = row;
  const ms = row.ms === undefined ? "" : duration(row.ms);
  return el(
    "li",
    {},
    link(name, () => openPanel(about(`${name}, request ${request}`, { endpoint, request }))),
    " ",
    chip(OUTCOME_LEVELS[row.outcome] ?? "bad", row.outcome),
    el("span", { class: "quiet" }, ` ${time(row.at)} ${ms}`),
    ...row.error === "" ? [] : [el("p", { class: "error" }, row.error)],
    el(
      "dl",
      {},
      ...fact("Principal", row.principal && link(row.principal, () => openPanel(aboutUser(row)))),
      ...fact("Session", row.session && link(row.session, () => openPanel(aboutSession(row)))),
      ...fact("Upstream", row.upstream && filterBy("upstream", row.upstream)),
      ...fact("Node", filterBy("node", row.node)),
      ...fact("Client", row.client),
      ...fact("Request", String(request)),
      ...fact("Trace", row.traceId),
      ...fact("Arguments", row.arguments),
      ...fact("Result", row.result),
    ),
  );
}

function refusalItem(row) {
  return el(
    "li",
    {},
    el("strong", { class: "mono" }, row.reason),
    el("span", { class: "quiet" }, ` ${row.status} ${time(row.at)}`),
    el(
      "dl",
      {},
      ...fact("From", row.address),
      ...fact("Principal", row.principal && link(row.principal, () => openPanel(aboutUser(row)))),
      ...fact("Method", row.method),
      ...fact("Tool", row.tool),
      ...fact("Session", row.session && link(row.session, () => openPanel(aboutSession(row)))),
      ...fact("Node", filterBy("node", row.node)),
    ),
  );
}

/** Draws the p95 of each minute of the last hour. */
function minutesChart(rows) {
  const minutes = new Map();
  for (const { at, count, errors, buckets } of rows) {
    const known = minutes.get(at) ?? { count: 0, errors: 0, buckets: [] };
    minutes.set(at, {
      count: known.count + count,
      errors: known.errors + errors,
      buckets: buckets.map((each, index) => each + (known.buckets[index] ?? 0)),
    });
  }
  const points = [...minutes].map(([at, row]) => ({
    at,
    ...row,
    p95: percentile(row.buckets, 0.95),
  }));
  const most = Math.max(1, ...points.map(({ p95 = 0 }) => p95));
  const last = Math.floor(state.at / 60_000) * 60_000;
  const slowest = points.reduce((one, each) => (each.p95 ?? 0) > (one.p95 ?? 0) ? each : one);
  const label = `p95 of each minute of the last hour, up to ${duration(slowest.p95)} at ` +
    time(slowest.at);
  const bars = points.map(({ at, p95 = 0, errors }) => {
    const height = Math.max(1, (p95 / most) * 40);
    return svg("rect", {
      x: (59 - (last - at) / 60_000) * 4,
      y: 42 - height,
      width: 3,
      height,
      ...errors > 0 && { class: "bad" },
    });
  });
  return el(
    "figure",
    {},
    svg(
      "svg",
      { class: "minutes", viewBox: "0 0 240 42", role: "img", "aria-label": label },
      ...bars,
    ),
    el("figcaption", {}, label),
  );
}

/* Filters, tabs, theme, keys */

const form = byId("filters");

function readFilters() {
  for (const name of FILTERS) state.filters[name] = form.elements[name].value.trim();
  const used = FILTERS.filter((name) => state.filters[name] !== "").length;
  byId("clear").hidden = used === 0;
  setText(byId("filter-toggle"), used === 0 ? "Filter" : `Filter (${used})`);
  state.page = {};
  render();
}

function setFilter(name, value) {
  form.elements[name].value = value;
  readFilters();
}

byId("filter-toggle").addEventListener("click", () => {
  const open = form.dataset.open !== "true";
  form.dataset.open = String(open);
  byId("filter-toggle").setAttribute("aria-expanded", String(open));
  if (open) form.elements.principal.focus();
});

form.addEventListener("input", readFilters);
form.addEventListener("submit", (event) => event.preventDefault());
byId("clear").addEventListener("click", () => {
  form.reset();
  readFilters();
  form.elements.principal.focus();
});

/** Offers the values that there are, a few hundred at most. */
function renderOptions() {
  const values = { principal: new Set(), tool: new Set(), upstream: new Set(), node: new Set() };
  for (const table of ["sessions", "calls", "tools", "upstreams", "nodes"]) {
    for (const row of state.tables[table].values()) {
      for (const name of FILTERS) {
        if (row[name] && values[name].size < 300) values[name].add(row[name]);
      }
    }
  }
  for (const name of FILTERS) {
    const list = byId(`list-${name}`);
    const mark = [...values[name]].sort().join("\n");
    if (list.dataset.mark === String(mark.length) && list.childElementCount === values[name].size) {
      continue;
    }
    list.dataset.mark = String(mark.length);
    list.replaceChildren(...[...values[name]].sort().map((value) => el("option", { value })));
  }
}

for (const tab of tabs) tab.addEventListener("click", () => selectTab(tab.dataset.tab));
byId("tab-overview").parentElement.addEventListener("keydown", (event) => {
  const at = tabs.findIndex((tab) => tab.dataset.tab === state.tab);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  selectTab(tabs[(to + tabs.length) % tabs.length].dataset.tab, true);
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
  const typing = event.target instanceof HTMLInputElement;
  if (event.key === "Escape" && typing) {
    // A second Escape leaves the field.
    if (event.target.value === "") return event.target.blur();
    event.preventDefault();
    event.target.value = "";
    return readFilters();
  }
  if (typing) return;
  if (event.key === "Escape") {
    if (state.panel !== undefined) return closePanel();
    form.reset();
    return readFilters();
  }
  if (event.key === "/") {
    event.preventDefault();
    form.elements.principal.focus();
  } else if (/^[1-9]$/.test(event.key) && tabs[Number(event.key) - 1] !== undefined) {
    selectTab(tabs[Number(event.key) - 1].dataset.tab, true);
  }
});

const THEMES = ["auto", "light", "dark"];

function setTheme(theme) {
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  byId("theme-text").textContent = { auto: "Auto", light: "Light", dark: "Dark" }[theme];
}

function storedTheme() {
  try {
    const theme = localStorage.getItem("mooring-theme");
    return THEMES.includes(theme) ? theme : "auto";
  } catch {
    return "auto";
  }
}

let theme = storedTheme();
setTheme(theme);
byId("theme").addEventListener("click", () => {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  setTheme(theme);
  try {
    localStorage.setItem("mooring-theme", theme);
  } catch {
    // It is not remembered.
  }
});

/* What the server sends */

function noteDrains() {
  for (const row of mergedNodes(rowsOf("nodes"))) {
    if (row.state !== "draining") state.drained.delete(row.key);
    else if (!state.drained.has(row.key)) state.drained.set(row.key, row.calls + row.streams);
  }
}

function apply(changes) {
  applyChanges(state.tables, changes);
  const { at, omitted } = changes;
  state.at = at;
  state.ahead = at - Date.now();
  state.omitted = omitted;
  state.connected = true;
  noteDrains();
  // A hidden page keeps up, and is drawn when it is seen.
  if (document.visibilityState === "hidden") return;
  draw();
}

function draw() {
  const issuers = new Set(rowsOf("sessions").map(({ issuer }) => issuer));
  for (const { issuer } of rowsOf("calls")) issuers.add(issuer);
  state.issuers = issuers.size;
  render();
  renderGauges();
  renderOptions();
  refreshPanel();
}

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && state.at > 0) draw();
});

function connect() {
  const events = new EventSource("events");
  events.addEventListener("hello", (event) => {
    state.hello = JSON.parse(event.data);
    byId("link").hidden = !state.hello.links;
    setText(byId("operator"), state.hello.operator);
  });
  events.addEventListener("changes", (event) => apply(JSON.parse(event.data)));
  events.addEventListener("error", () => {
    state.connected = false;
    render();
    if (state.panel?.node !== undefined) renderPanel();
    if (events.readyState !== EventSource.CLOSED) return;
    // The server refused: its sign-in is over, or too many watch.
    setTimeout(async () => {
      const response = await fetch("session").catch(() => undefined);
      if (response?.status === 401) location.reload();
      else connect();
    }, 2_000);
  });
}

selectTab("overview");
connect();
