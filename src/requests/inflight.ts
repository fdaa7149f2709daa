/**
 * The requests that run in one session, and how a client cancels one.
 *
 * @module
 */
import type { RequestId } from "../protocol/jsonrpc.ts";
import type { RequestScope } from "./scope.ts";
import { StopError } from "./stop.ts";

/**
 * Requests by their own identity, not by their id: two may run under one id, and taking one out never
 * takes the other out. Bounded by the endpoint's limit of running requests.
 */
export class InFlight {
  readonly #scopes = new Set<RequestScope>();

  /** How many run. */
  get size(): number {
    return this.#scopes.size;
  }

  /** Enters a request. Called before its handler starts. */
  add(scope: RequestScope): void {
    this.#scopes.add(scope);
  }

  /** Takes a request out. */
  delete(scope: RequestScope): void {
    this.#scopes.delete(scope);
  }

  /** Stops every request under an id, as its client asked. */
  cancel(id: RequestId, detail?: string): void {
    for (const scope of [...this.#scopes]) {
      if (scope.id === id) scope.stop(new StopError("cancelled", detail));
    }
  }

  /** Stops everything. */
  stopAll(kind: "session-ended" | "shutdown"): void {
    for (const scope of [...this.#scopes]) scope.stop(new StopError(kind));
  }
}
