/**
 * The requests that run in one session, and how a client cancels one.
 *
 * @module
 */
import { LinkedList } from "../internal/linked_list.ts";
import type { RequestId } from "../protocol/jsonrpc.ts";
import type { RequestScope } from "./scope.ts";
import { StopError } from "./stop.ts";

/**
 * Requests by their own identity, not by their id: two may run under one id, and taking one out never
 * takes the other out. Bounded by the endpoint's limit of running requests.
 */
export class InFlight {
  readonly #scopes = new LinkedList<RequestScope>();
  #size = 0;

  /** How many run. */
  get size(): number {
    return this.#size;
  }

  /** Enters a request. Called before its handler starts. */
  add(scope: RequestScope): void {
    this.#scopes.append(scope);
    this.#size++;
  }

  /** Takes a request out. */
  delete(scope: RequestScope): void {
    if (scope.list !== this.#scopes) return;
    this.#scopes.remove(scope);
    this.#size--;
  }

  /** Stops every request under an id, as its client asked. */
  cancel(id: RequestId, detail?: string): void {
    for (const scope of this.#all()) {
      if (scope.id === id) scope.stop(new StopError("cancelled", detail));
    }
  }

  /** Stops everything. */
  stopAll(kind: "session-ended" | "shutdown"): void {
    for (const scope of this.#all()) scope.stop(new StopError(kind));
  }

  /** Those that run now: who is stopped leaves the list. */
  #all(): RequestScope[] {
    const all: RequestScope[] = [];
    for (let scope = this.#scopes.first; scope !== undefined; scope = scope.next) all.push(scope);
    return all;
  }
}
