/**
 * Refuses upstreams that an endpoint can't serve as they say, for as long as it serves the view.
 *
 * @module
 */
import type { RegisteredUpstream } from "../session/served_upstreams.ts";
import type { Upstream } from "../types.ts";

/**
 * Checks an upstream, and has it refuse what doesn't fit from then on.
 *
 * @returns A function that allows it again
 * @throws {TypeError} If something doesn't fit
 */
export type RefuseIn = (name: string, upstream: Upstream) => () => void;

/** What is refused of the upstreams of a view, by any of its endpoints. */
export class RefusedUpstreams {
  readonly #upstreams: () => ReadonlyMap<string, RegisteredUpstream>;
  readonly #refuse: RefuseIn;
  /** The number of endpoints that refuse it. */
  #endpoints = 0;
  /** Maps upstreams to the functions that allow it again. */
  readonly #allowed = new Map<string, () => void>();

  /** @param upstreams Returns the upstreams of the view, as they are now */
  constructor(upstreams: () => ReadonlyMap<string, RegisteredUpstream>, refuse: RefuseIn) {
    this.#upstreams = upstreams;
    this.#refuse = refuse;
  }

  /**
   * Refuses it, until the returned function is called.
   *
   * @throws {TypeError} If there is such an upstream
   */
  refuse(): () => void {
    if (this.#endpoints++ === 0) {
      try {
        for (const name of this.#upstreams().keys()) this.changed(name);
      } catch (error) {
        this.#allow();
        throw error;
      }
    }
    let refuses = true;
    return () => {
      if (refuses) this.#allow();
      refuses = false;
    };
  }

  /**
   * Checks an upstream that is about to be added.
   *
   * @throws {TypeError} If it is refused
   */
  check(name: string, upstream: Upstream): void {
    if (this.#endpoints > 0) this.#refuse(name, upstream)();
  }

  /** Refuses it of the upstream that has a name now, in place of the one that had it. */
  changed(name: string): void {
    this.#allowed.get(name)?.();
    this.#allowed.delete(name);
    const upstream = this.#upstreams().get(name)?.upstream;
    if (this.#endpoints === 0 || upstream === undefined) return;
    this.#allowed.set(name, this.#refuse(name, upstream));
  }

  #allow(): void {
    if (--this.#endpoints > 0) return;
    for (const allow of this.#allowed.values()) allow();
    this.#allowed.clear();
  }
}
