/**
 * Notifies the endpoints that serve a server of its changes.
 *
 * @module
 */
import type { DispatcherHost } from "../protocol/exchange.ts";

/** Notifies endpoints of changes: once for all changes of one turn. */
export class ChangeNotifier {
  readonly #hosts = new Set<DispatcherHost>();
  readonly #methods = new Set<string>();

  /** Adds an endpoint. Returns a function that removes it, which is safe to call twice. */
  attach(host: DispatcherHost): () => void {
    this.#hosts.add(host);
    return () => {
      this.#hosts.delete(host);
    };
  }

  /** Broadcasts a notification without parameters, once for all calls of this turn. */
  changed(method: string): void {
    if (this.#hosts.size === 0) return;
    if (this.#methods.size === 0) queueMicrotask(() => this.#flush());
    this.#methods.add(method);
  }

  /** Notifies every endpoint that a resource changed. */
  resourceUpdated(uri: string): void {
    this.#each("resourceUpdated", (host) => host.resourceUpdated(uri));
  }

  #flush(): void {
    const methods = [...this.#methods];
    this.#methods.clear();
    for (const method of methods) this.#each(method, (host) => host.broadcast({ method }));
  }

  #each(during: string, tell: (host: DispatcherHost) => void): void {
    for (const host of [...this.#hosts]) {
      try {
        tell(host);
      } catch (error) {
        host.report({ type: "error", during, error });
      }
    }
  }
}
