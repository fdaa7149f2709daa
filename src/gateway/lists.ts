/**
 * The lists of upstreams, as they are kept: for as long as nobody says that they changed, or for a
 * moment.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { isWithinBytes } from "../internal/utf8.ts";
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { McpEvent } from "../protocol/events.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import type { UpstreamFacts } from "./types.ts";
import { LIST_KINDS, type ListFacts, type ListKind, LISTS } from "./list_kinds.ts";
import type { GatewayLimits } from "./options.ts";

/** A list, and until when it is kept. */
interface Kept {
  readonly list: KeptList;
  readonly until: number;
}

/** The entries of a list, or why it couldn't be had a moment ago. */
export type KeptList = { readonly entries: readonly JsonObject[] } | { readonly error: unknown };

/** Lists of several upstreams. */
export class ListCache {
  readonly #clock: Clock;
  readonly #momentMs: number;
  readonly #kept = new Map<string, Kept>();
  readonly #changes = new Map<string, number>();

  /**
   * @param momentMs How long what nobody tells the changes of is kept
   */
  constructor(clock: Clock, momentMs: number) {
    this.#clock = clock;
    this.#momentMs = momentMs;
  }

  /** The list, if it is kept. */
  get(upstream: string, kind: ListKind): KeptList | undefined {
    const kept = this.#kept.get(keyOf(upstream, kind));
    return kept === undefined || kept.until <= this.#clock.now() ? undefined : kept.list;
  }

  /** A number that is another one once the list has changed. */
  edition(upstream: string, kind: ListKind): number {
    return this.#changes.get(keyOf(upstream, kind)) ?? 0;
  }

  /** Keeps a list, or that it couldn't be had, unless it has changed since its edition. */
  keep(
    upstream: string,
    kind: ListKind,
    edition: number,
    list: KeptList,
    lasting = false,
  ): void {
    if (edition !== this.edition(upstream, kind)) return;
    const until = lasting ? Infinity : this.#clock.now() + this.#momentMs;
    this.#kept.set(keyOf(upstream, kind), { list, until });
  }

  /** Forgets lists of an upstream. */
  forget(upstream: string, kinds: readonly ListKind[]): void {
    for (const kind of kinds) {
      const key = keyOf(upstream, kind);
      this.#kept.delete(key);
      this.#changes.set(key, (this.#changes.get(key) ?? 0) + 1);
    }
  }

  /** Forgets everything of an upstream that is no more. */
  remove(upstream: string): void {
    for (const kind of LIST_KINDS) {
      this.#kept.delete(keyOf(upstream, kind));
      this.#changes.delete(keyOf(upstream, kind));
    }
  }
}

function keyOf(upstream: string, kind: ListKind): string {
  return `${kind} ${upstream}`;
}

/** How a list is fetched. */
export interface Fetch {
  readonly upstream: string;
  readonly facts: UpstreamFacts;
  readonly kind: ListKind;
  readonly limits: Required<GatewayLimits>;
  /** What an entry is called behind the gateway. */
  readonly rename: (name: string) => string;
  readonly request: (method: string, params: JsonObject) => Promise<JsonObject>;
  readonly report: (event: McpEvent) => void;
}

/**
 * Fetches all pages of a list, as far as they are within bounds, without what is no entry.
 *
 * @throws {McpError} What the upstream answers, unless it is that there is no such list
 */
export async function fetchList(
  { upstream, facts, kind, limits, rename, request, report }: Fetch,
): Promise<readonly JsonObject[]> {
  const list = LISTS[kind];
  if (facts.capabilities[list.capability] === undefined) return [];
  const entries = new Entries(list, limits, rename);
  let cursor: string | undefined;
  for (let pages = 0;; pages++) {
    if (pages === limits.listPages) {
      entries.cut();
      break;
    }
    const page = await pageAt(list.method, cursor, request);
    entries.add(page?.[list.key]);
    const next = page?.nextCursor;
    if (entries.full || typeof next !== "string" || next === cursor) break;
    cursor = next;
  }
  for (const [reason, count] of entries.dropped) {
    report({ type: "upstream-entries-dropped", upstream, list: list.method, reason, count });
  }
  return entries.kept;
}

/** A page, or `undefined` when the upstream doesn't have the list at all. */
async function pageAt(
  method: string,
  cursor: string | undefined,
  request: Fetch["request"],
): Promise<JsonObject | undefined> {
  try {
    return await request(method, cursor === undefined ? {} : { cursor });
  } catch (error) {
    if (error instanceof McpError && error.code === ErrorCode.MethodNotFound) return undefined;
    throw error;
  }
}

type Reason = Extract<McpEvent, { type: "upstream-entries-dropped" }>["reason"];

/** The entries of a list as they come in. */
class Entries {
  readonly kept: JsonObject[] = [];
  readonly dropped = new Map<Reason, number>();
  full = false;
  readonly #list: ListFacts;
  readonly #limits: Required<GatewayLimits>;
  readonly #rename: (name: string) => string;
  readonly #ids = new Set<string>();
  #bytesLeft: number;

  constructor(list: ListFacts, limits: Required<GatewayLimits>, rename: (name: string) => string) {
    this.#list = list;
    this.#limits = limits;
    this.#rename = rename;
    this.#bytesLeft = limits.listBytes;
  }

  add(page: unknown): void {
    if (!Array.isArray(page)) return;
    for (const entry of page) {
      if (this.full) return;
      this.#addOne(entry);
    }
  }

  /** What is left is too much. */
  cut(): void {
    this.full = true;
    this.#drop("limit");
  }

  #addOne(entry: unknown): void {
    const { id, prefixed, valid } = this.#list;
    const given = isObject(entry) ? entry[id] : undefined;
    if (!isObject(entry) || typeof given !== "string") return this.#drop("invalid");
    const name = prefixed ? this.#rename(given) : given;
    if (given === "" || !valid(name)) return this.#drop("invalid");
    if (this.#ids.has(name)) return this.#drop("duplicate");
    const text = JSON.stringify(entry);
    const fits = isWithinBytes(text, this.#bytesLeft);
    if (!fits || this.kept.length === this.#limits.listEntries) return this.cut();
    // A byte a character at least: close enough for a bound
    this.#bytesLeft -= text.length;
    this.#ids.add(name);
    this.kept.push(name === given ? entry : { ...entry, [id]: name });
  }

  #drop(reason: Reason): void {
    this.dropped.set(reason, (this.dropped.get(reason) ?? 0) + 1);
  }
}
