/**
 * Checks what an operator asks for.
 *
 * @module
 */
import { isObject } from "../../kit.ts";
import type { OperatorRequest, RecentQuery } from "../operator/types.ts";

/** The characters of a text. */
const MOST_CHARS = 1_000;

type MemberCheck = (value: unknown) => boolean;

const text: MemberCheck = (value) => typeof value === "string" && value.length <= MOST_CHARS;
const optional: MemberCheck = (value) => value === undefined || text(value);
const number: MemberCheck = (value) => Number.isSafeInteger(value);
const flag: MemberCheck = (value) => typeof value === "boolean";

/** The fields of each act besides `act` and `endpoint`. */
const FIELDS: Readonly<Record<OperatorRequest["act"], Readonly<Record<string, MemberCheck>>>> = {
  "cancel-call": { node: text, id: number },
  "end-session": { session: text },
  "end-principal": { principal: text, issuer: optional },
  "drain-node": { node: text, on: flag },
  "drain-cluster": { on: flag },
  "restart-upstream": { upstream: text },
  "end-grant": { grant: text },
  "end-grants": { principal: text, issuer: optional },
  "disconnect-account": { account: text },
};

/** Returns a request to act, or a message that says what is wrong with it. */
export function parseRequest(value: unknown): OperatorRequest | string {
  if (!isObject(value)) return "Send a JSON object of at most 8,192 bytes";
  const { act, endpoint } = value;
  if (typeof act !== "string" || !Object.hasOwn(FIELDS, act)) {
    return `Give one of ${Object.keys(FIELDS).join(", ")} as "act"`;
  }
  const fields = FIELDS[act as OperatorRequest["act"]];
  const request: Record<string, unknown> = { act };
  if (!optional(endpoint)) return 'Give the name of an endpoint as "endpoint"';
  if (endpoint !== undefined) request.endpoint = endpoint;
  for (const [name, check] of Object.entries(fields)) {
    if (!check(value[name])) return `Correct "${name}": it is missing, or has the wrong type`;
    if (value[name] !== undefined) request[name] = value[name];
  }
  // Every field was checked.
  return request as unknown as OperatorRequest;
}

const QUERY_TEXTS: readonly (keyof RecentQuery)[] = [
  "endpoint",
  "principal",
  "issuer",
  "session",
  "tool",
  "method",
  "upstream",
  "reason",
];

/** Returns a query for the last calls, or a message that says what is wrong with it. */
export function parseQuery(given: URLSearchParams): RecentQuery | string {
  const query: Record<string, string | number> = {};
  for (const [name, value] of given) {
    if (name === "request") {
      if (!/^\d{1,15}$/.test(value)) return 'Give a number as "request"';
      query.request = Number(value);
      continue;
    }
    if (!QUERY_TEXTS.some((each) => each === name) || value.length > MOST_CHARS) {
      return `Give some of ${
        QUERY_TEXTS.join(", ")
      } and request, of ${MOST_CHARS} characters at most`;
    }
    query[name] = value;
  }
  return query;
}
