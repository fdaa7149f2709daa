/**
 * Which sessions are subscribed to which resource.
 *
 * @module
 */

/** An index from resources to sessions. Nothing is kept for a resource without subscribers. */
export class Subscribers {
  readonly #sessions = new Map<string, Set<string>>();

  /** Adds a session to a resource's. Doing it again changes nothing. */
  add(uri: string, session: string): void {
    const sessions = this.#sessions.get(uri);
    if (sessions === undefined) this.#sessions.set(uri, new Set([session]));
    else sessions.add(session);
  }

  /** Takes a session out of a resource's, if it is there. */
  remove(uri: string, session: string): void {
    const sessions = this.#sessions.get(uri);
    if (sessions?.delete(session) && sessions.size === 0) this.#sessions.delete(uri);
  }

  /** The sessions subscribed to a resource, also while that changes. */
  of(uri: string): Iterable<string> {
    return this.#sessions.get(uri)?.values() ?? [];
  }
}
