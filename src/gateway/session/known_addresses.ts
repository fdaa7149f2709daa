/**
 * Remembers which upstream each address belongs to that a client got as it is, so that it never leads to
 * another upstream later.
 *
 * @module
 */
import { BoundedSet } from "../../kit.ts";

/** Remembers the addresses that one client knows. */
export class KnownAddresses {
  readonly #most: number;
  readonly #owners = new Map<string, string>();
  /** The addresses of each upstream, those that were claimed least recently first. */
  readonly #byUpstream = new Map<string, Set<string>>();

  /** @param most Limits the addresses of one upstream; the oldest are forgotten */
  constructor(most: number) {
    this.#most = most;
  }

  /** Returns the upstream of an address that the client knows. */
  owner(uri: string): string | undefined {
    return this.#owners.get(uri);
  }

  /** Remembers an address for an upstream. Returns `false` if the client knows it as another's. */
  claim(uri: string, upstream: string): boolean {
    const owner = this.#owners.get(uri);
    if (owner !== undefined && owner !== upstream) return false;
    this.#owners.set(uri, upstream);
    // One upstream can't make the client forget what it knows of another.
    const own = this.#byUpstream.get(upstream) ??
      new BoundedSet(this.#most, (oldest) => this.#owners.delete(oldest));
    this.#byUpstream.set(upstream, own.add(uri));
    return true;
  }
}
