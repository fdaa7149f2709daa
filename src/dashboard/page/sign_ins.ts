/**
 * Keeps who has signed in: a cookie that scripts of the page can't read.
 *
 * @module
 */
import type { Clock } from "../../../mod.ts";
import { randomText } from "../../kit.ts";

/** The characters of a secret: 6 random bits each. */
const SECRET = 43;

/** An operator who has signed in. */
export interface OperatorPrincipal {
  /** The id, for the audit. */
  readonly id: string;
}

/** A way in which operators sign in at the page. */
export interface OperatorSignIn {
  /**
   * Uses what an operator has given to sign in.
   *
   * @returns A secret for the cookie, and its time in milliseconds; `undefined` if it is not valid
   */
  exchange(given: string): { readonly secret: string; readonly ms: number } | undefined;
  /** Returns who sent a request, by its cookie or its bearer token. */
  authenticate(request: Request, context?: unknown): OperatorPrincipal | undefined;
  /** Signs the sender of a request out. */
  signOut(request: Request): void;
}

/** Returns the name of the cookie. Cookies don't tell ports apart, so it contains the port. */
export function cookieName(request: Request): string {
  const host = request.headers.get("host") ?? new URL(request.url).host;
  return `mooring_operator_${/:(\d+)$/.exec(host)?.[1] ?? "0"}`;
}

/** Returns the cookie of a request. */
export function cookieOf(request: Request): string | undefined {
  const name = cookieName(request);
  for (const part of (request.headers.get("cookie") ?? "").split(";")) {
    const [key, value] = part.trim().split("=");
    if (key === name) return value;
  }
  return undefined;
}

/** Returns the bearer token of a request. */
export function bearerOf(request: Request): string | undefined {
  return /^Bearer (.+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
}

/** A limited number of random secrets, each with a name, that expire. */
export class ExpiringSecrets {
  readonly #clock: Clock;
  readonly #ms: number;
  readonly #most: number;
  /** Oldest first. */
  readonly #kept = new Map<string, { readonly name: string; readonly until: number }>();

  constructor(clock: Clock, ms: number, most: number) {
    this.#clock = clock;
    this.#ms = ms;
    this.#most = most;
  }

  add(name: string): string {
    const secret = randomText(SECRET);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size >= this.#most && oldest !== undefined) this.#kept.delete(oldest);
    this.#kept.set(secret, { name, until: this.#clock.now() + this.#ms });
    return secret;
  }

  get(secret: string): string | undefined {
    const found = this.#kept.get(secret);
    if (found === undefined) return undefined;
    if (found.until > this.#clock.now()) return found.name;
    this.#kept.delete(secret);
    return undefined;
  }

  take(secret: string): string | undefined {
    const found = this.get(secret);
    this.#kept.delete(secret);
    return found;
  }
}
