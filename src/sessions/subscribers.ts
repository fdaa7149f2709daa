/**
 * Indexes the sessions that are subscribed to each resource.
 *
 * @module
 */

/** The subscribers of each resource. Keeps nothing for a resource without subscribers. */
export class Subscribers {
  readonly #sessions = new Map<string, Set<string>>();

  /** Adds a subscriber of a resource. Adding it again changes nothing. */
  add(uri: string, session: string): void {
    const sessions = this.#sessions.get(uri);
    if (sessions === undefined) this.#sessions.set(uri, new Set([session]));
    else sessions.add(session);
  }

  /** Removes a subscriber of a resource, if there is one. */
  remove(uri: string, session: string): void {
    const sessions = this.#sessions.get(uri);
    if (sessions?.delete(session) && sessions.size === 0) this.#sessions.delete(uri);
  }

  /** Iterates over the subscribers of a resource, which may change meanwhile. */
  of(uri: string): Iterable<string> {
    return this.#sessions.get(uri)?.values() ?? [];
  }
}
