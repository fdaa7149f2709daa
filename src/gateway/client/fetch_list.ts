/**
 * Fetches all pages of an upstream's list, within bounds.
 *
 * @module
 */
import { ErrorCode, type JsonObject, McpError, type McpEvent } from "../../../mod.ts";
import { isObject, isSimple, isWithinBytes, TooMuchWorkError } from "../../kit.ts";
import type { GatewayLimits } from "../options.ts";
import { type ListFacts, type ListKind, LISTS } from "../shared/list_kinds.ts";
import type { UpstreamFacts } from "../types.ts";

/** Options for {@linkcode fetchList}. */
export interface FetchListOptions {
  /** The name of the upstream, for events. */
  readonly upstream: string;
  readonly facts: UpstreamFacts;
  readonly kind: ListKind;
  readonly limits: Required<GatewayLimits>;
  /** Returns the name of an entry behind the gateway. */
  readonly rename: (name: string) => string;
  /** Returns an entry as clients get it, before that; `undefined` if it is withheld. */
  readonly present?: ((entry: JsonObject) => JsonObject | undefined) | undefined;
  /** Sends a request to the upstream. */
  readonly request: (method: string, params: JsonObject) => Promise<JsonObject>;
  /** Takes an event for each reason why entries were dropped. */
  readonly report: (event: McpEvent) => void;
}

/**
 * Fetches all pages of a list. Drops invalid and duplicate entries, and everything over the limits.
 *
 * @throws {McpError} If the upstream answers with an error other than "method not found"
 */
export async function fetchList(
  { upstream, facts, kind, limits, rename, present, request, report }: FetchListOptions,
): Promise<readonly JsonObject[]> {
  const list = LISTS[kind];
  if (facts.capabilities[list.capability] === undefined) return [];
  const entries = new Entries(list, limits, rename, present);
  let cursor: string | undefined;
  for (let pages = 0;; pages++) {
    if (pages === limits.listPages) {
      entries.truncate();
      break;
    }
    const page = await fetchPage(list.method, cursor, request);
    entries.addPage(page?.[list.key]);
    const next = page?.nextCursor;
    if (entries.isFull || typeof next !== "string" || next === cursor) break;
    cursor = next;
  }
  for (const [reason, count] of entries.dropped) {
    report({ type: "upstream-entries-dropped", upstream, list: list.method, reason, count });
  }
  return entries.kept;
}

/** Fetches a page; `undefined` if the upstream doesn't have the list at all. */
async function fetchPage(
  method: string,
  cursor: string | undefined,
  request: FetchListOptions["request"],
): Promise<JsonObject | undefined> {
  try {
    return await request(method, cursor === undefined ? {} : { cursor });
  } catch (error) {
    if (error instanceof McpError && error.code === ErrorCode.MethodNotFound) return undefined;
    throw error;
  }
}

/** The most values in one entry of a list, and the most levels of nesting. */
const MOST_VALUES = 50_000;
const MOST_DEPTH = 64;

type DropReason = Extract<McpEvent, { type: "upstream-entries-dropped" }>["reason"];

/** Collects the entries of a list. */
class Entries {
  readonly kept: JsonObject[] = [];
  readonly dropped = new Map<DropReason, number>();
  isFull = false;
  readonly #list: ListFacts;
  readonly #limits: Required<GatewayLimits>;
  readonly #rename: (name: string) => string;
  readonly #present: FetchListOptions["present"];
  readonly #ids = new Set<string>();
  #bytesLeft: number;

  constructor(
    list: ListFacts,
    limits: Required<GatewayLimits>,
    rename: (name: string) => string,
    present: FetchListOptions["present"],
  ) {
    this.#list = list;
    this.#limits = limits;
    this.#rename = rename;
    this.#present = present;
    this.#bytesLeft = limits.listBytes;
  }

  addPage(page: unknown): void {
    if (!Array.isArray(page)) return;
    for (const entry of page) {
      if (this.isFull) return;
      this.#add(entry);
    }
  }

  /** Drops the rest of the list. */
  truncate(): void {
    this.isFull = true;
    this.#drop("limit");
  }

  #add(listed: unknown): void {
    const { id, prefixed, valid } = this.#list;
    if (!isObject(listed) || typeof listed[id] !== "string") return this.#drop("invalid");
    // Before any other walk over it.
    if (!isSimple(listed, MOST_VALUES, MOST_DEPTH)) return this.#drop("complexity");
    const entry = this.#presented(listed);
    if (entry === undefined) return;
    const given = entry[id];
    if (typeof given !== "string") return this.#drop("invalid");
    const name = prefixed ? this.#rename(given) : given;
    if (given === "" || !valid(name)) return this.#drop("invalid");
    if (this.#ids.has(name)) return this.#drop("duplicate");
    const text = JSON.stringify(entry);
    const fits = isWithinBytes(text, this.#bytesLeft);
    if (!fits || this.kept.length === this.#limits.listEntries) return this.truncate();
    // Each character has at least one byte, which is close enough for a limit.
    this.#bytesLeft -= text.length;
    this.#ids.add(name);
    this.kept.push(name === given ? entry : { ...entry, [id]: name });
  }

  /** Returns an entry as clients get it; `undefined` if it is withheld. */
  #presented(listed: JsonObject): JsonObject | undefined {
    if (this.#present === undefined) return listed;
    try {
      return this.#present(listed);
    } catch (error) {
      if (!(error instanceof TooMuchWorkError)) throw error;
      this.#drop("complexity");
      return undefined;
    }
  }

  #drop(reason: DropReason): void {
    this.dropped.set(reason, (this.dropped.get(reason) ?? 0) + 1);
  }
}
