/**
 * Gives many sessions of the gateway one session with an upstream: those of one user, or of all users.
 *
 * @module
 */
import type { Principal } from "../../../mod.ts";
import { isObject } from "../../kit.ts";
import { wrapped } from "../shared/wrapped.ts";
import type { OpenInit, Upstream, UpstreamSession } from "../types.ts";
import { CommonSession } from "./common_session.ts";
import type { ShareSettings } from "./share_options.ts";

/** The most sessions of an upstream that run on without being in use; the oldest end first. */
const MOST_UNUSED = 100;

/**
 * Returns an upstream whose sessions are used together.
 *
 * @param upstream The upstream that opens a new session each time
 * @param settings Whose sessions; `undefined` if each has its own
 */
export function withShare(upstream: Upstream, settings: ShareSettings | undefined): Upstream {
  if (settings === undefined) return upstream;
  const sessions = new CommonSessions(upstream, settings);
  return wrapped(upstream, {
    identity: JSON.stringify([upstream.identity, settings]),
    share: settings.share,
    open: (init) => sessions.open(init),
    get programs() {
      return sessions.size;
    },
    endUnused: (mayEnd) => sessions.endUnused(mayEnd),
  });
}

/** The sessions with one upstream that several sessions of the gateway use. */
class CommonSessions {
  readonly #upstream: Upstream;
  readonly #settings: ShareSettings;
  readonly #open = new Map<string, CommonSession>();
  /** Those that are ending. */
  readonly #ending = new Set<Promise<void>>();

  constructor(upstream: Upstream, settings: ShareSettings) {
    this.#upstream = upstream;
    this.#settings = settings;
  }

  open(init: OpenInit): Promise<UpstreamSession> {
    const key = this.#keyOf(init);
    // Of whom nobody knows who it is, nothing is used together.
    if (key === undefined) return this.#upstream.open(init);
    const known = this.#open.get(key);
    if (known !== undefined) return known.join(init);
    const common = new CommonSession({
      upstream: this.#upstream,
      settings: this.#settings,
      onUnused: () => this.#boundUnused(),
      onOver: () => {
        if (this.#open.get(key) === common) this.#open.delete(key);
      },
      onEnding: (ending) => {
        this.#ending.add(ending);
        void ending.finally(() => this.#ending.delete(ending));
      },
    }, init);
    this.#open.set(key, common);
    return common.join(init);
  }

  /** The number of them, with those that are opening and ending. */
  get size(): number {
    return this.#open.size + this.#ending.size;
  }

  /** Ends what no session uses; returns `undefined` if there is nothing that ends. */
  endUnused(mayEnd?: (user: Principal) => boolean): Promise<void> | undefined {
    const unused = [...this.#open.values()].filter(({ isUnused, user }) =>
      isUnused && (mayEnd === undefined || (user !== undefined && mayEnd(user)))
    );
    for (const common of unused) common.end();
    // What is ending already may be anybody's.
    if (mayEnd === undefined ? this.#ending.size === 0 : unused.length === 0) return undefined;
    return Promise.all(this.#ending).then(() => {});
  }

  #boundUnused(): void {
    const unused = [...this.#open.values()].filter(({ isUnused }) => isUnused);
    for (const common of unused.slice(0, Math.max(0, unused.length - MOST_UNUSED))) common.end();
  }

  /**
   * Returns what is equal for sessions that use one: what the upstream is told about its client must hold for
   * each of them.
   */
  #keyOf({ name, user, client: { capabilities } }: OpenInit): string | undefined {
    if (this.#settings.share === "all") return JSON.stringify([name]);
    if (user === undefined) return undefined;
    const { roots: _, ...rest } = capabilities;
    return JSON.stringify([name, user, rest], sorted);
  }
}

function sorted(_key: string, value: unknown): unknown {
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1));
}
