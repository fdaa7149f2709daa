/**
 * Tracks the lifetime of one request, which ends once: finished or stopped.
 *
 * @module
 */
import { Linked } from "../../internal/linked_list.ts";
import type { AsyncRequestContext } from "../../internal/request_context.ts";
import type { RequestId } from "../../protocol/jsonrpc.ts";
import type { StopError } from "./stop.ts";

const SCOPE = Symbol("scope");

/** A signal with a reference to its request, if it has one. */
interface ScopeSignal extends AbortSignal {
  [SCOPE]?: RequestScope;
}

/**
 * Calls a listener once when a signal aborts that has not aborted yet. For the signal of a request it
 * avoids an event listener, which is slow on some runtimes.
 *
 * @returns Removes the listener
 */
export function onAbort(signal: ScopeSignal, listener: () => void): () => void {
  const scope = signal[SCOPE];
  if (scope !== undefined) return scope.onOver(() => signal.aborted && listener());
  signal.addEventListener("abort", listener, { once: true });
  return () => signal.removeEventListener("abort", listener);
}

/**
 * A running request. Its signal is created when first read, since most requests never need it.
 */
export abstract class RequestScope extends Linked<RequestScope> {
  /** The id from the client. Not unique: some clients give all requests the same id. */
  readonly id: RequestId;
  #controller: AbortController | undefined;
  #reason: StopError | undefined;
  #over = false;
  #listeners: Set<() => void> | undefined;
  readonly #context: AsyncRequestContext | undefined;

  /**
   * @param id The id from the client
   * @param context The context in which listeners are called when the request is stopped, which
   * another request may do; left out where requests are not kept apart
   */
  constructor(id: RequestId, context?: AsyncRequestContext) {
    super();
    this.id = id;
    this.#context = context;
  }

  /** Tells whether it came in an HTTP request, and is not a task that outlives that. */
  belongsTo(_request: Request): boolean {
    return false;
  }

  /** Tells whether it began more than a time ago, in milliseconds, as far as that is known. */
  isOlder(_ms: number): boolean {
    return true;
  }

  /** Whether the request has finished or was stopped. */
  get over(): boolean {
    return this.#over;
  }

  /** The reason why the request was stopped, or `undefined`. */
  get reason(): StopError | undefined {
    return this.#reason;
  }

  /** Aborts when the request is stopped, with the reason; never when it finishes. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      const { signal }: { readonly signal: ScopeSignal } = this.#controller;
      signal[SCOPE] = this;
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  /**
   * Calls a listener once when the request is over: finished or stopped.
   *
   * @returns Removes the listener
   */
  onOver(listener: () => void): () => void {
    this.#listeners ??= new Set();
    this.#listeners.add(listener);
    return () => this.#listeners?.delete(listener);
  }

  /**
   * Stops the request, unless it is over.
   *
   * @returns Whether this call stopped it
   */
  stop(reason: StopError): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#reason = reason;
    this.stopped(reason);
    if (this.#context === undefined) this.#notifyStopped(reason);
    else this.#context.run(() => this.#notifyStopped(reason));
    return true;
  }

  /**
   * Marks the request as finished, unless it is over.
   *
   * @param reason The reason to abort `signal` with, for code that is still running
   * @returns Whether the request was still running
   */
  protected finish(reason?: StopError): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#reason = reason;
    if (reason !== undefined) this.#controller?.abort(reason);
    this.#notifyOver();
    return true;
  }

  #notifyStopped(reason: StopError): void {
    this.#controller?.abort(reason);
    this.#notifyOver();
  }

  #notifyOver(): void {
    // A listener that is removed meanwhile is not called.
    for (const listener of this.#listeners ?? []) listener();
    this.#listeners = undefined;
  }

  /** Called once when the request is stopped, before its signal aborts. */
  protected abstract stopped(reason: StopError): void;
}
