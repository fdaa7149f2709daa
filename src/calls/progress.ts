/**
 * Progress of one request: for the client's own token, strictly rising, and a sign of life while the
 * handler reports none.
 *
 * @module
 */
import type { Delay, DelayLine } from "../internal/delay_line.ts";
import type { Notification } from "../protocol/exchange.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";

/** The client's progress token in a request's parameters, if it gave one. */
export function progressToken(params: JsonObject): string | number | undefined {
  const meta = params._meta;
  if (!isObject(meta)) return undefined;
  const token = meta.progressToken;
  return typeof token === "string" || typeof token === "number" ? token : undefined;
}

/** The progress of one request. */
export class Progress {
  readonly #token: string | number;
  #last = -Infinity;
  #beats = 0;
  #delay: Delay | undefined;
  #own = false;

  /** @param token The client's token */
  constructor(token: string | number) {
    this.#token = token;
  }

  /** Whether a progress notification may go out, and if not, why. */
  admit(params: JsonObject | undefined): "ok" | "no-progress-token" | "not-rising" {
    if (params?.progressToken !== this.#token) return "no-progress-token";
    this.#own = true;
    this.stop();
    const value = params.progress;
    if (typeof value !== "number" || !Number.isFinite(value) || value <= this.#last) {
      return "not-rising";
    }
    this.#last = value;
    return "ok";
  }

  /**
   * Sends "Still running" on every beat of a line until the handler reports its own progress. The
   * values rise but stay below 0.001, so that whatever the handler reports first is likely higher.
   */
  beat(line: DelayLine, send: (notification: Notification) => void): void {
    if (this.#own) return;
    this.#delay = line.add(() => {
      this.#beats++;
      this.#last = 0.001 * (this.#beats / (this.#beats + 1));
      send({
        method: "notifications/progress",
        params: { progressToken: this.#token, progress: this.#last, message: "Still running" },
      });
      this.beat(line, send);
    });
  }

  /** Ends the beats. */
  stop(): void {
    this.#delay?.cancel();
    this.#delay = undefined;
  }
}
