/**
 * Reads requests and makes responses of the routes of sign-in.
 *
 * @module
 */

import type { Clock } from "../../mod.ts";
import { boundedText, within } from "./fetch/bounded.ts";
import { FetchError } from "./fetch/errors.ts";

/** The maximum number of bytes of a request's body. */
const BODY_BYTES = 16_384;
/** The time within which a body must arrive, in milliseconds. */
const BODY_MS = 10_000;

/** An error that a client is told (RFC 6749 §5.2). */
export class OAuthError extends Error {
  /** The value of `error`. */
  readonly code: string;
  /** The status. */
  readonly status: number;
  /** The time after which to try again, in seconds. */
  readonly retryAfterS: number | undefined;
  /** More headers of the answer. */
  readonly headers: Readonly<Record<string, string>>;

  /**
   * @param code The value of `error`
   * @param message The value of `error_description`
   * @param headers More headers of the answer
   */
  constructor(
    code: string,
    message: string,
    status = 400,
    retryAfterS?: number,
    headers: Readonly<Record<string, string>> = {},
  ) {
    super(message);
    this.name = "OAuthError";
    this.code = code;
    this.status = status;
    this.retryAfterS = retryAfterS;
    this.headers = headers;
  }
}

const CORS = {
  "access-control-allow-origin": "*",
  "access-control-expose-headers": "DPoP-Nonce, Retry-After",
};

/** Returns JSON that is not cached, for every origin: no cookie decides about it. */
export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: {
      ...CORS,
      "content-type": "application/json",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      ...headers,
    },
  });
}

/** Returns the answer for an error. */
export function errorJson({ code, message, status, retryAfterS, headers }: OAuthError): Response {
  const retry: Record<string, string> = retryAfterS === undefined
    ? {}
    : { "retry-after": String(retryAfterS) };
  return json({ error: code, error_description: message }, status, { ...headers, ...retry });
}

/** Answers a preflight of a browser (Fetch §3.2). */
export function preflight(methods: string): Response {
  return new Response(null, {
    status: 204,
    headers: {
      ...CORS,
      "access-control-allow-methods": methods,
      "access-control-allow-headers": "content-type, authorization, dpop, mcp-protocol-version",
      "access-control-max-age": "3600",
    },
  });
}

/** Refuses a method. */
export function wrongMethod(allow: string): Response {
  return new Response(null, { status: 405, headers: { ...CORS, allow } });
}

/** Reads a body of limited size, which must arrive in time, as text. */
export async function bodyText(request: Request, clock: Clock): Promise<string> {
  if (Number(request.headers.get("content-length") ?? 0) > BODY_BYTES) throw tooLarge();
  try {
    return await within(
      { timeoutMs: BODY_MS, clock, signal: request.signal },
      () => boundedText(request.body, BODY_BYTES),
    );
  } catch (error) {
    if (!(error instanceof FetchError)) throw error;
    if (error.reason === "unavailable") {
      throw new OAuthError("invalid_request", "Send the whole body sooner", 408);
    }
    throw tooLarge();
  }
}

function tooLarge(): OAuthError {
  return new OAuthError("invalid_request", `Send UTF-8 of ${BODY_BYTES} bytes at most`, 413);
}

/** Tells whether a request's body has a media type. */
export function hasType(request: Request, type: string): boolean {
  const [given = ""] = (request.headers.get("content-type") ?? "").split(";");
  return given.trim().toLowerCase() === type;
}

/** Reads a form. */
export async function bodyForm(request: Request, clock: Clock): Promise<URLSearchParams> {
  if (!hasType(request, "application/x-www-form-urlencoded")) {
    throw new OAuthError("invalid_request", "Send a body of application/x-www-form-urlencoded");
  }
  return new URLSearchParams(await bodyText(request, clock));
}

/**
 * Returns a parameter, or `undefined` if it is absent or empty (RFC 6749 §3.1).
 *
 * @throws {OAuthError} If it is there twice, or too long
 */
export function parameter(from: URLSearchParams, name: string, most = 2_048): string | undefined {
  const [value, ...more] = from.getAll(name);
  if (more.length > 0) {
    // RFC 8707 §2 allows several resources, but a token here is for one
    const code = name === "resource" ? "invalid_target" : "invalid_request";
    throw new OAuthError(code, `Send "${name}" once`);
  }
  if (value !== undefined && value.length > most) {
    throw new OAuthError("invalid_request", `Send ${most} characters at most as "${name}"`);
  }
  return value === "" ? undefined : value;
}

/** Returns a parameter that must be there. */
export function required(from: URLSearchParams, name: string, most?: number): string {
  const value = parameter(from, name, most);
  if (value === undefined) throw new OAuthError("invalid_request", `Send "${name}"`);
  return value;
}

/** Returns the cookies of a request, of names that begin with a text. */
export function cookiesOf(request: Request, prefix: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const pair of (request.headers.get("cookie") ?? "").split(";")) {
    const at = pair.indexOf("=");
    const name = pair.slice(0, at).trim();
    if (at > 0 && name.startsWith(prefix)) found.set(name, pair.slice(at + 1).trim());
  }
  return found;
}
