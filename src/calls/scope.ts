/**
 * One request's life: it runs until it is finished or stopped, whichever comes first, once.
 *
 * @module
 */
import { Linked } from "../internal/linked_list.ts";
import type { RequestId } from "../protocol/jsonrpc.ts";
import type { StopError } from "./stop.ts";

const SCOPE = Symbol("scope");

/** A signal that knows what it is the signal of, where that is a request. */
interface ScopeSignal extends AbortSignal {
  [SCOPE]?: RequestScope;
}

/**
 * Calls a listener once when a signal aborts which has not aborted yet. What listens to a request is
 * told by the request, without an event: each event listener costs 3 % of a call through the gateway
 * on Bun.
 *
 * @returns Takes the listener back
 */
export function onAbort(signal: ScopeSignal, listener: () => void): () => void {
  const scope = signal[SCOPE];
  if (scope !== undefined) return scope.onOver(() => signal.aborted && listener());
  signal.addEventListener("abort", listener, { once: true });
  return () => signal.removeEventListener("abort", listener);
}

/**
 * A running request. Its signal is made when somebody asks for it, because most requests finish
 * before anybody does.
 */
export abstract class RequestScope extends Linked<RequestScope> {
  /** The id that the client gave it. Not unique: some clients give every request the same one. */
  readonly id: RequestId;
  #controller: AbortController | undefined;
  #reason: StopError | undefined;
  #over = false;
  #listeners: Set<() => void> | undefined;

  /** @param id The id that the client gave the request */
  constructor(id: RequestId) {
    super();
    this.id = id;
  }

  /** Whether the request has finished or was stopped. */
  get over(): boolean {
    return this.#over;
  }

  /** Why the request was stopped, or `undefined`. */
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
   * Calls a listener once when the request is over, however that comes about.
   *
   * @returns Takes the listener back
   */
  onOver(listener: () => void): () => void {
    this.#listeners ??= new Set();
    this.#listeners.add(listener);
    return () => this.#listeners?.delete(listener);
  }

  /**
   * Stops the request, unless it is over.
   *
   * @returns Whether this call stopped it: the first reason wins
   */
  stop(reason: StopError): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#reason = reason;
    this.stopped(reason);
    this.#controller?.abort(reason);
    this.#tell();
    return true;
  }

  /**
   * Marks the request as finished, unless it is over.
   *
   * @param reason Why whatever still runs of it should stop, if something does
   * @returns Whether the request was still running
   */
  protected finish(reason?: StopError): boolean {
    if (this.#over) return false;
    this.#over = true;
    this.#reason = reason;
    if (reason !== undefined) this.#controller?.abort(reason);
    this.#tell();
    return true;
  }

  #tell(): void {
    // One that is taken back meanwhile is not told.
    for (const listener of this.#listeners ?? []) listener();
    this.#listeners = undefined;
  }

  /** Called once when the request is stopped, before its signal aborts. */
  protected abstract stopped(reason: StopError): void;
}
