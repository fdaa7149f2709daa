/**
 * Checks the progress notifications of one request, and sends a heartbeat while the handler reports none.
 *
 * @module
 */
import type { Delay, DelayLine } from "../internal/delay_line.ts";
import type { Notification } from "../protocol/exchange.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";

/** Returns the progress token in a request's parameters, or `undefined`. */
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
  #latest: JsonObject | undefined;

  /** @param token The client's progress token */
  constructor(token: string | number) {
    this.#token = token;
  }

  /** The parameters of the latest notification that was sent, heartbeats apart. */
  get latest(): JsonObject | undefined {
    return this.#latest;
  }

  /** Checks a progress notification: returns `"ok"` if it may be sent, else the reason why not. */
  admit(params: JsonObject | undefined): "ok" | "no-progress-token" | "not-rising" {
    if (params?.progressToken !== this.#token) return "no-progress-token";
    this.#own = true;
    this.stop();
    const value = params.progress;
    if (typeof value !== "number" || !Number.isFinite(value) || value <= this.#last) {
      return "not-rising";
    }
    this.#last = value;
    this.#latest = params;
    return "ok";
  }

  /**
   * Sends "Still running" after every wait of a delay line, until the handler reports progress. The
   * values increase but stay below 0.001, so that the first value of the handler is likely higher.
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

  /** Stops the heartbeat. */
  stop(): void {
    this.#delay?.cancel();
    this.#delay = undefined;
  }
}
