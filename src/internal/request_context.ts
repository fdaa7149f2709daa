/**
 * Runs functions in the context of the request that they belong to, on hosts that keep requests apart.
 *
 * On Cloudflare Workers whatever one request has opened, such as a connection or a timer, may only be used
 * while that request is handled, and ends with it. A promise leads back: what waits for it runs in the
 * context that created it.
 *
 * @module
 */

/** The context of the request that is handled while this is created. */
export class AsyncRequestContext {
  #tasks: (() => void)[] = [];
  #wake: (() => void) | undefined;

  /** Captures the context. */
  constructor() {
    this.#wait();
  }

  /**
   * Runs a function in the context, soon. Functions run in the order of the calls. If the request has
   * ended, so has all that it opened, and the function never runs.
   */
  run(task: () => void): void {
    this.#tasks.push(task);
    this.#wake?.();
  }

  #wait(): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    promise.then(() => {
      const tasks = this.#tasks;
      this.#tasks = [];
      // What a function calls for, runs after it: the next promise is created here, in the context.
      this.#wait();
      for (const task of tasks) task();
    });
  }
}
