/**
 * Tells the endpoints that serve a server what has changed.
 *
 * @module
 */
import type { DispatcherHost } from "../protocol/exchange.ts";

/** Tells endpoints of changes: those of one turn once. */
export class ChangeNotifier {
  readonly #hosts = new Set<DispatcherHost>();
  readonly #methods = new Set<string>();

  /** Adds an endpoint. The returned function takes it out again; it is safe to call twice. */
  attach(host: DispatcherHost): () => void {
    this.#hosts.add(host);
    return () => {
      this.#hosts.delete(host);
    };
  }

  /** Sends a notification without parameters everywhere, once for all the calls of this turn. */
  changed(method: string): void {
    if (this.#hosts.size === 0) return;
    if (this.#methods.size === 0) queueMicrotask(() => this.#flush());
    this.#methods.add(method);
  }

  /** Tells everywhere that a resource changed. */
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
