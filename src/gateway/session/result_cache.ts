/**
 * Keeps results of an upstream that hold for a time, within bounds.
 *
 * @module
 */
import type { Clock, JsonObject, Notification, ProtocolVersion } from "../../../mod.ts";
import { canonical, isModern, isObject, LONG_CALL_META, utf8Length } from "../../kit.ts";
import type { CacheSettings, Caller } from "../types.ts";
import { rightsKey } from "./rights.ts";
import { RELATED_TASK } from "./translate.ts";

/** The most characters of a key; a request with longer arguments is always sent. */
const MOST_KEY = 16_384;
/** The longest life of a result for which the operator gives none, in milliseconds. */
const MOST_MS = 3_600_000;

/** The notifications that invalidate results, and the method whose results those are. */
const INVALIDATES: ReadonlyMap<string, KeptMethod> = new Map([
  ["notifications/tools/list_changed", "tools/call"],
  ["notifications/resources/list_changed", "resources/read"],
  // It may name another resource, of which the read one is a part (2026-07-28, Resources).
  ["notifications/resources/updated", "resources/read"],
]);

/** The methods whose results may be kept. */
type KeptMethod = "tools/call" | "resources/read";

/** A request whose result may be kept. */
export interface CacheableRequest extends Caller {
  readonly method: string;
  readonly params: JsonObject;
}

/** Whose request it is, and how the upstream is spoken to for it. */
export interface CacheParty {
  /** Identifies the user; `undefined` if that isn't known. */
  readonly user: string | undefined;
  /** What the upstream knows that the client can do. */
  readonly capabilities: JsonObject;
  /** The version spoken with the upstream. */
  readonly version: ProtocolVersion;
}

/** Where the result of a request is kept, if it is. */
export interface CachePlace {
  readonly method: KeptMethod;
  /** The tool's name or the resource's URI. */
  readonly item: string;
  readonly version: ProtocolVersion;
  /** The key for the user alone; `undefined` if nobody knows who that is. */
  readonly own: string | undefined;
  /** The key for all; `undefined` if nothing is kept for all. */
  readonly common: string | undefined;
  /** Counts what has invalidated results of the method. */
  readonly generation: number;
}

interface KeptResult {
  readonly method: KeptMethod;
  readonly item: string;
  /** The result as JSON: nobody who gets it can change it for others. */
  readonly text: string;
  readonly bytes: number;
  readonly keptAt: number;
  readonly expiresAt: number;
}

/** Keeps the results of one upstream, for all sessions with it. */
export class ResultCache {
  readonly #settings: CacheSettings;
  readonly #clock: Clock;
  /** The results by key, those used least recently first. */
  readonly #kept = new Map<string, KeptResult>();
  /** The tools that were listed as read-only, of those that the operator names. */
  readonly #readOnly = new Set<string>();
  readonly #generations: Record<KeptMethod, number> = { "tools/call": 0, "resources/read": 0 };
  #bytes = 0;

  /** Creates an empty cache. */
  constructor(settings: CacheSettings, clock: Clock) {
    this.#settings = settings;
    this.#clock = clock;
  }

  /** The number of results. */
  get size(): number {
    return this.#kept.size;
  }

  /** The bytes of the results and their keys, as UTF-8. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Returns where the result of a request is kept; `undefined` if it never is. */
  placeOf(request: CacheableRequest, party: CacheParty): CachePlace | undefined {
    const { method, params } = request;
    const { tools, resources, scope } = this.#settings;
    const { name, uri, inputResponses, requestState, task } = params;
    if (inputResponses !== undefined || requestState !== undefined || task !== undefined) {
      return undefined;
    }
    const found = method === "tools/call" && typeof name === "string" && tools.has(name)
      ? { method, item: name, args: params.arguments ?? {} } as const
      : method === "resources/read" && typeof uri === "string" && resources
      ? { method, item: uri, args: {} } as const
      : undefined;
    if (found === undefined) return undefined;
    const { user, version, capabilities } = party;
    const about = canonical([found.method, found.item, found.args, version, capabilities]);
    if (about.length > MOST_KEY) return undefined;
    const own = user === undefined ? undefined : this.#ownKey(about, user, request);
    const common = scope === "all" ? about : undefined;
    if (own === undefined && common === undefined) return undefined;
    const generation = this.#generations[found.method];
    return { method: found.method, item: found.item, version, own, common, generation };
  }

  /** Returns a key for one user, what their credentials allow, and the headers that the upstream sees. */
  #ownKey(about: string, user: string, request: CacheableRequest): string {
    const seen = this.#settings.forwards.map((name) => request.request.headers.get(name));
    return JSON.stringify([user, rightsKey(request), seen, about]);
  }

  /** Returns a result that is kept and still holds, as an object of its own. */
  get({ own, common }: CachePlace): JsonObject | undefined {
    return this.#get(own) ?? this.#get(common);
  }

  #get(key: string | undefined): JsonObject | undefined {
    const kept = key === undefined ? undefined : this.#kept.get(key);
    if (key === undefined || kept === undefined) return undefined;
    const now = this.#clock.now();
    if (kept.expiresAt <= now) return this.#delete(key, kept);
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    const result: JsonObject = JSON.parse(kept.text);
    const { ttlMs } = result;
    return typeof ttlMs === "number"
      ? { ...result, ttlMs: Math.max(0, Math.floor(ttlMs - (now - kept.keptAt))) }
      : result;
  }

  /** Keeps a result, if it may be, and nothing has invalidated it since its request was sent. */
  keep(place: CachePlace, result: JsonObject): void {
    const { method, item } = place;
    if (place.generation !== this.#generations[method] || !isPlain(method, result)) return;
    if (method === "tools/call" && !this.#readOnly.has(item)) return;
    const ms = this.#lifeOf(result);
    const key = mayShare(place, result) ? place.common ?? place.own : place.own;
    if (ms <= 0 || key === undefined) return;
    const text = jsonOf(result);
    if (text === undefined) return;
    const bytes = utf8Length(text) + utf8Length(key);
    const { maxEntries, maxBytes, maxResultBytes } = this.#settings;
    if (bytes > maxResultBytes || bytes > maxBytes) return;
    const before = this.#kept.get(key);
    if (before !== undefined) this.#delete(key, before);
    const now = this.#clock.now();
    this.#kept.set(key, { method, item, text, bytes, keptAt: now, expiresAt: now + ms });
    this.#bytes += bytes;
    for (const [oldest, kept] of this.#kept) {
      if (this.#kept.size <= maxEntries && this.#bytes <= maxBytes) break;
      this.#delete(oldest, kept);
    }
  }

  /** Returns how long a result is kept: never longer than it says itself. */
  #lifeOf({ ttlMs }: JsonObject): number {
    const { ttlMs: given } = this.#settings;
    if (ttlMs === undefined) return given ?? 0;
    const own = typeof ttlMs === "number" && ttlMs > 0 ? ttlMs : 0;
    return Math.min(own, given ?? MOST_MS);
  }

  /** The generation of the tools, for {@linkcode ResultCache.learn}. */
  get toolsGeneration(): number {
    return this.#generations["tools/call"];
  }

  /**
   * Learns from a page of the upstream's own list which tools are read-only.
   *
   * @param generation The generation when the list was asked for
   */
  learn({ tools }: JsonObject, generation: number): void {
    if (generation !== this.toolsGeneration || !Array.isArray(tools)) return;
    for (const tool of tools) {
      const { name, annotations } = isObject(tool) ? tool : {};
      if (typeof name !== "string" || !this.#settings.tools.has(name)) continue;
      if (isObject(annotations) && annotations.readOnlyHint === true) this.#readOnly.add(name);
      else if (this.#readOnly.delete(name)) this.#invalidate("tools/call", name);
    }
  }

  /** Takes a notification of the upstream, which may invalidate results. */
  notified({ method }: Notification): void {
    const changed = INVALIDATES.get(method);
    if (changed === undefined) return;
    if (changed === "tools/call") this.#readOnly.clear();
    this.#invalidate(changed);
  }

  /** Removes all results, because the upstream has ended or was restarted. */
  clear(): void {
    this.#invalidate("tools/call");
    this.#invalidate("resources/read");
  }

  #invalidate(method: KeptMethod, item?: string): void {
    this.#generations[method]++;
    for (const [key, kept] of this.#kept) {
      if (kept.method === method && (item === undefined || kept.item === item)) {
        this.#delete(key, kept);
      }
    }
  }

  #delete(key: string, { bytes }: KeptResult): undefined {
    if (this.#kept.delete(key)) this.#bytes -= bytes;
  }
}

/** Tells whether a result is the whole, successful answer, and not something to come back with. */
function isPlain(method: KeptMethod, result: JsonObject): boolean {
  const { resultType = "complete", isError, task, _meta, content, contents } = result;
  if (resultType !== "complete" || task !== undefined) return false;
  if (isError !== undefined && isError !== false) return false;
  if (isObject(_meta) && (LONG_CALL_META in _meta || RELATED_TASK in _meta)) return false;
  return Array.isArray(method === "tools/call" ? content : contents);
}

/** Tells whether a result may be kept for all: it doesn't say otherwise, or says so where it has to. */
function mayShare({ method, version }: CachePlace, { cacheScope }: JsonObject): boolean {
  if (cacheScope !== undefined) return cacheScope === "public";
  return method === "tools/call" || !isModern(version);
}

/** Returns a result as JSON; `undefined` if a server in this process has returned something else. */
function jsonOf(result: JsonObject): string | undefined {
  try {
    return JSON.stringify(result);
  } catch {
    return undefined;
  }
}
