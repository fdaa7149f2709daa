/**
 * Keeps the running requests of one session, for cancellation.
 *
 * @module
 */
import { LinkedList } from "../../internal/linked_list.ts";
import type { RequestId } from "../../protocol/jsonrpc.ts";
import type { RequestScope } from "./scope.ts";
import { StopError } from "./stop.ts";

/**
 * A set of running requests. Two requests may have the same id: each is added and deleted on its own. The
 * endpoint's limit of running requests bounds its size.
 */
export class InFlight {
  readonly #scopes = new LinkedList<RequestScope>();
  #size = 0;
  #onEmpty: (() => void) | undefined;

  /** The number of requests. */
  get size(): number {
    return this.#size;
  }

  /** Adds a request, before its handler starts. */
  add(scope: RequestScope): void {
    this.#scopes.append(scope);
    this.#size++;
  }

  /** Deletes a request. */
  delete(scope: RequestScope): void {
    if (scope.list !== this.#scopes) return;
    this.#scopes.remove(scope);
    this.#size--;
    if (this.#size === 0) this.#onEmpty?.();
  }

  /** Calls a function once there are no requests, at once if there are none. Replaces an earlier one. */
  whenEmpty(callback: () => void): void {
    if (this.#size === 0) return callback();
    this.#onEmpty = () => {
      this.#onEmpty = undefined;
      callback();
    };
  }

  /**
   * Stops every request with an id, because the client cancelled it.
   *
   * @param agoMs The time since it did, in milliseconds: requests that began later are others
   * @returns Whether there was one
   */
  cancel(id: RequestId, detail?: string, agoMs = 0): boolean {
    let found = false;
    for (const scope of this.all()) {
      if (scope.id !== id || (agoMs > 0 && !scope.isOlder(agoMs))) continue;
      found = true;
      scope.stop(new StopError("cancelled", detail));
    }
    return found;
  }

  /** Stops the calls of an HTTP request, whose client has disconnected. */
  disconnected(request: Request): void {
    for (const scope of this.all()) {
      if (scope.belongsTo(request)) scope.stop(new StopError("disconnected"));
    }
  }

  /** Stops every request. */
  stopAll(kind: "session-ended" | "shutdown"): void {
    for (const scope of this.all()) scope.stop(new StopError(kind));
  }

  /** Copies the list: stopping a request removes it from the list. */
  all(): RequestScope[] {
    const all: RequestScope[] = [];
    for (let scope = this.#scopes.first; scope !== undefined; scope = scope.next) all.push(scope);
    return all;
  }
}
