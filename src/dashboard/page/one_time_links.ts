/**
 * Signs operators in with links that work once, and with a fixed token for scripts.
 *
 * @module
 */
import type { Clock } from "../../../mod.ts";
import { checkNames, integerOption, randomText, sameText, systemClock } from "../../kit.ts";
import { LEAST_TOKEN } from "./operator_tokens.ts";
import { bearerOf, cookieOf, ExpiringSecrets, type OperatorSignIn } from "./sign_ins.ts";

/** The maximum number of unused links, and of sign-ins; the oldest is forgotten for another one. */
const MOST_LINKS = 100;
const MOST_SIGN_INS = 100;

/** Options for {@linkcode oneTimeLinks}. */
export interface OneTimeLinksOptions {
  /**
   * A token that always works, as `Authorization: Bearer …`, for scripts and `mooring top`; 16 characters or
   * more. None when left out.
   */
  readonly token?: string;
  /**
   * The time for which an unused link works, in milliseconds.
   *
   * @default {600000}
   */
  readonly linkMs?: number;
  /**
   * The time after which an operator has to sign in again, in milliseconds.
   *
   * @default {43200000}
   */
  readonly signInMs?: number;
  /** The source of time; the system clock when left out. */
  readonly clock?: Clock;
}

/** Signs operators in with links that work once. */
export interface OneTimeLinks extends OperatorSignIn {
  /** Creates the secret part of a new link. */
  issue(): string;
}

/**
 * Signs operators in with links that work once: opened in a browser, a link becomes a cookie that scripts of
 * the page can't read.
 *
 * @throws {TypeError} If the token is not a text
 * @throws {RangeError} If the token is too short, or a time is out of range
 *
 * @example
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { createDashboard, oneTimeLinks } from "@mooring/mcp/dashboard";
 *
 * await using handler = createMcpHandler(new McpServer({ name: "demo", version: "1.0.0" }));
 * const links = oneTimeLinks();
 * await using dashboard = createDashboard(handler, { authenticate: links });
 * // Serve it on 127.0.0.1:8001, and open http://127.0.0.1:8001/#… in a browser
 * const link = `http://127.0.0.1:8001/#${links.issue()}`;
 * const page = await dashboard(new Request("http://127.0.0.1:8001/"));
 * console.assert(page.status === 401 && link.length > 60);
 * ```
 */
export function oneTimeLinks(options: OneTimeLinksOptions = {}): OneTimeLinks {
  checkNames("oneTimeLinks()", options, { token: true, linkMs: true, signInMs: true, clock: true });
  const { token, clock = systemClock } = options;
  const linkMs = integerOption("linkMs", options.linkMs, 600_000);
  const signInMs = integerOption("signInMs", options.signInMs, 43_200_000);
  if (token !== undefined && typeof token !== "string") {
    throw new TypeError(`Give a string as "token": ${typeof token}`);
  }
  if (token !== undefined && token.length < LEAST_TOKEN) {
    throw new RangeError(`Give a "token" of ${LEAST_TOKEN} characters or more: ${token.length}`);
  }
  const links = new ExpiringSecrets(clock, linkMs, MOST_LINKS);
  const signIns = new ExpiringSecrets(clock, signInMs, MOST_SIGN_INS);
  return {
    issue: () => links.add("link"),
    exchange(link) {
      if (links.take(link) === undefined) return undefined;
      return { secret: signIns.add(`operator-${randomText(4)}`), ms: signInMs };
    },
    authenticate(request) {
      const bearer = bearerOf(request);
      if (bearer !== undefined && token !== undefined && sameText(bearer, token)) {
        return { id: "token" };
      }
      const id = signIns.get(cookieOf(request) ?? "");
      return id === undefined ? undefined : { id };
    },
    signOut: (request) => void signIns.take(cookieOf(request) ?? ""),
  };
}
