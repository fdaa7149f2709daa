/**
 * Signs operators in by their names, each with a token.
 *
 * @module
 */
import type { Clock } from "../../../mod.ts";
import { checkNames, integerOption, isObject, quote, sameText, systemClock } from "../../kit.ts";
import { bearerOf, cookieOf, ExpiringSecrets, type OperatorSignIn } from "./sign_ins.ts";

/** The least number of characters of a token. */
export const LEAST_TOKEN = 16;
/** The maximum number of operators, and of characters of a name. */
const MOST_OPERATORS = 100;
const MOST_NAME = 100;
/** The maximum number of sign-ins; the oldest is forgotten for another one. */
const MOST_SIGN_INS = 1_000;

/** Options for {@linkcode operatorTokens}. */
export interface OperatorTokensOptions {
  /**
   * The token of each operator, by name: 100 operators at most, names of 1 to 100 characters, tokens of 16
   * characters or more, no two the same.
   */
  readonly operators: Readonly<Record<string, string>>;
  /**
   * The time after which an operator has to sign in again, in milliseconds.
   *
   * @default {43200000}
   */
  readonly signInMs?: number;
  /** The source of time; the system clock when left out. */
  readonly clock?: Clock;
}

/** Signs operators in by their names. */
export interface OperatorTokens extends OperatorSignIn {
  /** The names of the operators. */
  readonly names: readonly string[];
}

/**
 * Signs operators in with a token of their own: on the page, where it becomes a cookie that scripts of the page
 * can't read, and as `Authorization: Bearer …` for `mooring top` and scripts. What an operator does has the
 * operator's name, on the page, in events and in the audit trail.
 *
 * @throws {TypeError} If a name or a token is not a text, or two operators have the same token
 * @throws {RangeError} If there are too many operators, a text is too short or too long, or a time is out of
 * range
 *
 * @example
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { createDashboard, operatorTokens } from "@mooring/mcp/dashboard";
 *
 * await using handler = createMcpHandler(new McpServer({ name: "demo", version: "1.0.0" }));
 * await using dashboard = createDashboard(handler, {
 *   // From the environment, and never in the code
 *   authenticate: operatorTokens({ operators: { ada: "the token of ada, 16 or more" } }),
 * });
 * const headers = { authorization: "Bearer the token of ada, 16 or more" };
 * const page = await dashboard(new Request("http://127.0.0.1:8001/session", { headers }));
 * console.assert((await page.json()).operator === "ada");
 * ```
 */
export function operatorTokens(options: OperatorTokensOptions): OperatorTokens {
  checkNames("operatorTokens()", options, { operators: true, signInMs: true, clock: true });
  const { clock = systemClock } = options ?? {};
  const operators = checkedOperators(options?.operators);
  const signInMs = integerOption("signInMs", options.signInMs, 43_200_000);
  const signIns = new ExpiringSecrets(clock, signInMs, MOST_SIGN_INS);
  /** Compares with every token: the time tells neither which is right nor how much of it. */
  const nameOf = (token: string): string | undefined => {
    let found: string | undefined;
    for (const [name, expected] of operators) if (sameText(token, expected)) found = name;
    return found;
  };
  return {
    names: operators.map(([name]) => name),
    exchange(token) {
      const name = nameOf(token);
      return name === undefined ? undefined : { secret: signIns.add(name), ms: signInMs };
    },
    authenticate(request) {
      const bearer = bearerOf(request);
      const id = (bearer === undefined ? undefined : nameOf(bearer)) ??
        signIns.get(cookieOf(request) ?? "");
      return id === undefined ? undefined : { id };
    },
    signOut: (request) => void signIns.take(cookieOf(request) ?? ""),
  };
}

function checkedOperators(given: unknown): readonly (readonly [name: string, token: string])[] {
  if (!isObject(given)) {
    throw new TypeError('Give an object from names to tokens as "operators"');
  }
  const operators = Object.entries(given);
  if (operators.length === 0 || operators.length > MOST_OPERATORS) {
    throw new RangeError(`Give 1 to ${MOST_OPERATORS} "operators": ${operators.length}`);
  }
  const seen = new Set<unknown>();
  return operators.map(([name, token]) => {
    if (name.trim() === "" || name.length > MOST_NAME) {
      throw new RangeError(`Give "operators" names of 1 to ${MOST_NAME} characters`);
    }
    if (typeof token !== "string") {
      throw new TypeError(`Give a string as the token of ${quote(name)}: ${typeof token}`);
    }
    if (token.length < LEAST_TOKEN) {
      throw new RangeError(`Give ${quote(name)} a token of ${LEAST_TOKEN} characters or more`);
    }
    if (seen.has(token)) throw new TypeError(`Give ${quote(name)} a token of its own`);
    seen.add(token);
    return [name, token] as const;
  });
}
