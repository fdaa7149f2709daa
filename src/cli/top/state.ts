/**
 * Holds what `mooring top` knows: the tables that the dashboard sends.
 *
 * @module
 */
import type { ActRow, CallRow, SessionRow, Tables } from "../../dashboard/mod.ts";
import { applyChanges, emptyTables, lastMinute } from "../../dashboard/assets/rows.js";
import type { TableChanges } from "./client.ts";
import { printable } from "../log.ts";

type TopTable = keyof Tables;

/** The state of all nodes, as the dashboard sends it. */
export class TopState {
  readonly #tables = emptyTables();
  /** The server's time, in milliseconds since the epoch; 0 before the first change. */
  at = 0;
  omitted = 0;
  /** A text that rows must contain. */
  filter = "";
  /** The calls that ended, for each second of the last minute. */
  rate = 0;

  /** Applies a change. */
  apply(changes: TableChanges): void {
    applyChanges(this.#tables, changes);
    const { at, omitted } = changes;
    const nodes = this.rows("nodes");
    const watched = Math.max(0, ...nodes.map(({ watchedSince }) => at - watchedSince));
    this.rate = lastMinute(nodes).count / Math.min(60, Math.max(1, watched / 1_000));
    this.at = at;
    this.omitted = omitted;
  }

  /** Returns the rows of a table. */
  rows<T extends TopTable>(name: T): Tables[T] {
    // A table has the rows of its own kind only.
    return [...this.#tables[name].values()] as unknown as Tables[T];
  }

  /** Returns the rows that have the filter's text. */
  passing<T extends TopTable>(name: T): Tables[T] {
    const wanted = this.filter.toLowerCase();
    if (wanted === "") return this.rows(name);
    const rows = this.rows(name) as readonly { readonly key: string }[];
    return rows.filter((row) => {
      const { principal, tool, upstream, node, nodes, client, operator, target } = row as Partial<
        CallRow & SessionRow & ActRow
      >;
      return [principal, tool, upstream, node, client, operator, target, ...nodes ?? []].some((
        text,
      ) => text?.toLowerCase().includes(wanted));
    }) as unknown as Tables[T];
  }

  /** Says in a few words how the nodes are. */
  get status(): { readonly level: "ok" | "warn" | "bad"; readonly text: string } {
    const nodes = this.rows("nodes");
    const names = (
      state: string,
    ) => [...new Set(nodes.filter((row) => row.state === state).map(({ node }) => node))];
    const lost = names("lost");
    if (lost.length > 0) return { level: "bad", text: `lost: ${lost.map(printable).join(", ")}` };
    const draining = names("draining");
    if (draining.length > 0) {
      const calls = nodes.reduce(
        (sum, row) => sum + (row.state === "draining" ? row.calls : 0),
        0,
      );
      return { level: "warn", text: `draining ${draining.length}: ${calls} calls left` };
    }
    const failing = this.rows("upstreams").filter(({ health }) => health === "failing");
    if (failing.length > 0) {
      return { level: "warn", text: `failing: ${printable(failing[0]?.upstream ?? "")}` };
    }
    return { level: "ok", text: "healthy" };
  }

  /** Counts what there is, in one line. */
  get totals(): string {
    const nodes = new Set(this.rows("nodes").map(({ node }) => node)).size;
    const parts = [
      count(nodes, "node"),
      count(this.rows("sessions").length, "session"),
      count(this.rows("calls").length, "call"),
      count(this.rows("streams").length, "stream"),
      `${this.rate.toFixed(this.rate < 10 ? 1 : 0)} calls/s`,
    ];
    if (this.omitted > 0) parts.push(`${this.omitted} rows left out`);
    return parts.join(" · ");
  }
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}
