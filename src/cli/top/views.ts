/**
 * Makes the rows of the tables of `mooring top`.
 *
 * @module
 */
import {
  type AccountRow,
  type ActRow,
  type CallRow,
  type GrantRow,
  type LimitRow,
  type OperatorRequest,
  percentile,
  type RefusalRow,
  type SessionRow,
  type UpstreamRow,
} from "../../dashboard/mod.ts";
import { isCall, mergedNodes, mergedTools } from "../../dashboard/assets/rows.js";
import { printable } from "../log.ts";
import type { TopState } from "./state.ts";

/** One cell: what is written, and what it is sorted by. */
export interface Cell {
  readonly text: string;
  readonly value: number | string;
}

/** One row of a table on the screen. */
export interface ShownRow {
  readonly key: string;
  readonly cells: readonly Cell[];
  /** What acting on the row does, and how it is asked for. */
  readonly act: { readonly ask: string; readonly request: OperatorRequest } | undefined;
  /** The principal whose sessions and calls can be ended. */
  readonly principal: { readonly id: string; readonly issuer: string } | undefined;
}

/** A table on the screen. */
export interface TopView {
  /** The key that shows it. */
  readonly key: string;
  readonly title: string;
  readonly columns: readonly Column[];
  /** The index of the column that it is sorted by at first, and whether descending. */
  readonly sort: readonly [column: number, down: boolean];
  rows(state: TopState): readonly ShownRow[];
}

/** A column. */
export interface Column {
  readonly title: string;
  /** Whether it is aligned to the right. */
  readonly right?: boolean;
}

/** Writes a duration in milliseconds, in seven characters at most. */
export function durationText(ms: number | undefined): string {
  if (ms === undefined) return "-";
  if (ms < 1_000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)}ms`;
  const seconds = ms / 1_000;
  if (seconds < 60) return `${seconds < 10 ? seconds.toFixed(1) : Math.floor(seconds)}s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m${Math.floor(seconds % 60)}s`;
  if (seconds < 172_800) {
    return `${Math.floor(seconds / 3_600)}h${Math.floor((seconds % 3_600) / 60)}m`;
  }
  return `${Math.floor(seconds / 86_400)}d`;
}

const text = (value: string): Cell => ({ text: printable(value) || "-", value });
const number = (value: number, shown: string | number = value): Cell => ({
  text: String(shown),
  value,
});
const right = (title: string): Column => ({ title, right: true });
const left = (title: string): Column => ({ title });

const CALLS: TopView = {
  key: "c",
  title: "Calls",
  columns: [
    left("TOOL"),
    left("PRINCIPAL"),
    left("CLIENT"),
    left("NODE"),
    left("SESSION"),
    left("PROGRESS"),
    right("RUNNING"),
  ],
  sort: [6, true],
  rows: (state) =>
    state.passing("calls").map((row: CallRow) => {
      const ms = row.startedAt === 0 ? 0 : state.at - row.startedAt;
      const name = row.tool || row.method;
      return {
        key: row.key,
        cells: [
          text(name),
          text(row.principal),
          text(row.client),
          text(row.node),
          text(row.session),
          number(row.progress?.value ?? -1, progressText(row)),
          number(ms, row.startedAt === 0 ? "-" : durationText(ms)),
        ],
        act: {
          ask: `Cancel ${name} of ${row.principal}`,
          request: { act: "cancel-call", endpoint: row.endpoint, node: row.node, id: row.id },
        },
        principal: { id: row.principal, issuer: row.issuer },
      };
    }),
};

const SESSIONS: TopView = {
  key: "s",
  title: "Sessions",
  columns: [
    left("SESSION"),
    left("PRINCIPAL"),
    left("CLIENT"),
    left("VERSION"),
    left("NODE"),
    right("CALLS"),
    right("STREAMS"),
    right("AGE"),
    right("IDLE"),
  ],
  sort: [7, false],
  rows: (state) =>
    state.passing("sessions").map((row: SessionRow) => {
      const idle = row.usedAt === 0 ? 0 : state.at - row.usedAt;
      return {
        key: row.key,
        cells: [
          text(row.session),
          text(row.principal),
          text(row.client),
          text(row.version),
          text(row.nodes.join(",")),
          number(row.calls),
          number(row.streams),
          number(state.at - row.beganAt, durationText(state.at - row.beganAt)),
          number(idle, row.usedAt === 0 ? "in use" : durationText(idle)),
        ],
        act: {
          ask: `End session ${row.session} of ${row.principal || "nobody"}`,
          request: { act: "end-session", endpoint: row.endpoint, session: row.session },
        },
        principal: row.principal === "" ? undefined : { id: row.principal, issuer: row.issuer },
      };
    }),
};

const TOOLS: TopView = {
  key: "t",
  title: "Tools",
  columns: [
    left("TOOL"),
    left("UPSTREAM"),
    right("CALLS"),
    right("P50"),
    right("P95"),
    right("P99"),
    right("ERRORS"),
    left("1ms-1h"),
  ],
  sort: [2, true],
  rows: (state) => {
    return mergedTools(state.passing("tools").filter(({ method }) => isCall(method))).map((row) => {
      const [p50, p95, p99] = [0.5, 0.95, 0.99].map((fraction) =>
        percentile(row.buckets, fraction)
      );
      const errors = row.errors / Math.max(1, row.count);
      return {
        key: row.key,
        cells: [
          text(row.tool || row.method),
          text(row.upstream),
          number(row.count),
          number(p50 ?? 0, durationText(p50)),
          number(p95 ?? 0, durationText(p95)),
          number(p99 ?? 0, durationText(p99)),
          number(errors, row.errors === 0 ? "-" : `${(errors * 100).toFixed(1)}%`),
          number(row.count, barsText(row.buckets)),
        ],
        act: undefined,
        principal: undefined,
      };
    });
  },
};

const UPSTREAMS: TopView = {
  key: "u",
  title: "Upstreams",
  columns: [
    left("UPSTREAM"),
    left("HEALTH"),
    left("KIND"),
    left("NODE"),
    right("SESSIONS"),
    right("PROGRAMS"),
    right("CALLS"),
    right("FAILURES"),
    left("LAST FAILURE"),
  ],
  sort: [0, false],
  rows: (state) =>
    state.passing("upstreams").map((row: UpstreamRow) => ({
      key: row.key,
      cells: [
        text(row.upstream),
        text(row.health),
        text(row.kind),
        text(row.node),
        number(row.sessions),
        number(row.programs),
        number(row.calls),
        number(row.failures),
        text(row.failure),
      ],
      act: {
        ask: `Restart ${row.upstream} at every node`,
        request: { act: "restart-upstream", endpoint: row.endpoint, upstream: row.upstream },
      },
      principal: undefined,
    })),
};

const NODES: TopView = {
  key: "n",
  title: "Nodes",
  columns: [
    left("NODE"),
    left("STATE"),
    left("ENDPOINTS"),
    right("SESSIONS"),
    right("CALLS"),
    right("STREAMS"),
    right("WATCHED"),
  ],
  sort: [0, false],
  rows: (state) =>
    mergedNodes(state.passing("nodes")).map((row) => {
      const on = row.state !== "draining";
      return {
        key: row.key,
        cells: [
          text(row.node),
          text(row.state),
          text(row.endpoints.map(({ endpoint }) => endpoint).join(" ")),
          number(row.sessions),
          number(row.calls),
          number(row.streams),
          number(state.at - row.watchedSince, durationText(state.at - row.watchedSince)),
        ],
        act: row.state === "lost" ? undefined : {
          ask: on ? `Drain ${row.node}` : `Stop draining ${row.node}`,
          request: { act: "drain-node", node: row.node, on },
        },
        principal: undefined,
      };
    }),
};

const REFUSALS: TopView = {
  key: "r",
  title: "Refusals",
  columns: [left("TRUE REASON"), right("STATUS"), left("NODE"), right("LATELY"), right("ALL")],
  sort: [3, true],
  rows: (state) =>
    state.passing("refusals").map((row: RefusalRow) => ({
      key: row.key,
      cells: [
        text(row.reason),
        number(row.status),
        text(row.node),
        number(row.lately),
        number(row.count),
      ],
      act: undefined,
      principal: undefined,
    })),
};

const LIMITS: TopView = {
  key: "l",
  title: "Limits",
  columns: [left("LIMIT"), left("NODE"), right("FULL"), right("USED"), right("MOST")],
  sort: [2, true],
  rows: (state) =>
    state.passing("limits").map((row: LimitRow) => {
      const fraction = row.used / Math.max(1, row.most);
      return {
        key: row.key,
        cells: [
          text(row.limit.replace("limits.", "")),
          text(row.node),
          number(fraction, `${(fraction * 100).toFixed(1)}%`),
          number(row.used),
          number(row.most),
        ],
        act: undefined,
        principal: undefined,
      };
    }),
};

const ACTS: TopView = {
  key: "a",
  title: "Audit",
  columns: [left("TIME"), left("OPERATOR"), left("ACT"), left("TARGET"), left("RESULT")],
  sort: [0, true],
  rows: (state) =>
    state.passing("acts").map((row: ActRow) => ({
      key: row.key,
      cells: [
        { text: new Date(row.at).toISOString().slice(11, 19), value: row.at },
        text(row.operator),
        text(row.act),
        text(row.target),
        text(row.message),
      ],
      act: undefined,
      principal: undefined,
    })),
};

const GRANTS: TopView = {
  key: "p",
  title: "Grants",
  columns: [
    left("USER"),
    left("CLIENT"),
    left("SCOPES"),
    left("FOR"),
    right("SINCE"),
    right("USED"),
  ],
  sort: [5, false],
  rows: (state) =>
    state.passing("grants").map((row: GrantRow) => ({
      key: row.key,
      cells: [
        text(row.name),
        text(row.client),
        text(row.scopes),
        text(row.resource),
        number(state.at - row.since, durationText(state.at - row.since)),
        number(state.at - row.usedAt, durationText(state.at - row.usedAt)),
      ],
      act: {
        ask: `End what ${row.name} has allowed ${row.client}`,
        request: { act: "end-grant", grant: row.grant },
      },
      principal: { id: row.principal, issuer: row.issuer },
    })),
};

const ACCOUNTS: TopView = {
  key: "i",
  title: "Accounts",
  columns: [
    left("USER"),
    left("UPSTREAM"),
    left("SERVER"),
    left("SCOPES"),
    left("STATE"),
    right("SINCE"),
    right("RENEWED"),
  ],
  sort: [6, false],
  rows: (state) =>
    state.passing("accounts").map((row: AccountRow) => ({
      key: row.key,
      cells: [
        text(row.principal),
        text(row.upstream),
        text(row.server),
        text(row.scopes),
        text(row.ended ? "asks again" : "connected"),
        number(state.at - row.since, durationText(state.at - row.since)),
        number(state.at - row.renewedAt, durationText(state.at - row.renewedAt)),
      ],
      act: {
        ask: `Disconnect ${row.principal} from ${row.upstream}`,
        request: { act: "disconnect-account", account: row.account },
      },
      principal: { id: row.principal, issuer: row.issuer },
    })),
};

/** The tables, in the order of the tabs. */
export const VIEWS: readonly TopView[] = [
  CALLS,
  SESSIONS,
  TOOLS,
  UPSTREAMS,
  NODES,
  REFUSALS,
  LIMITS,
  ACTS,
  GRANTS,
  ACCOUNTS,
];

/** Sorts rows by a column. */
export function sorted(
  rows: readonly ShownRow[],
  column: number,
  down: boolean,
): readonly ShownRow[] {
  return rows.toSorted((a, b) => {
    const [one, other] = [a.cells[column]?.value ?? 0, b.cells[column]?.value ?? 0];
    const order = typeof one === "number" && typeof other === "number"
      ? one - other
      : String(one).localeCompare(String(other));
    return (down ? -order : order) || (a.key < b.key ? -1 : 1);
  });
}

function progressText({ progress }: CallRow): string {
  if (progress === undefined) return "-";
  const { value, total, message } = progress;
  const fraction = total === undefined || total <= 0
    ? String(value)
    : `${Math.round((value / total) * 100)}%`;
  return message === undefined ? fraction : `${fraction} ${printable(message)}`;
}

const BARS = " ▁▂▃▄▅▆▇█";

/** Draws buckets as one line. */
function barsText(buckets: readonly number[]): string {
  const bars = [];
  for (let at = 0; at < buckets.length; at += 2) {
    bars.push((buckets[at] ?? 0) + (buckets[at + 1] ?? 0));
  }
  const most = Math.max(1, ...bars);
  return bars.map((each) => BARS[each === 0 ? 0 : Math.max(1, Math.round((each / most) * 8))] ?? "")
    .join("").trimEnd();
}
