/**
 * Defines the errors that `authenticate` and `authorize` throw to refuse a request.
 *
 * @module
 */
import { checkNames } from "../internal/known_names.ts";
import { bearerChallenge } from "./challenge.ts";

const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({});

/** Options for {@linkcode Unauthorized}. */
export interface UnauthorizedOptions extends ErrorOptions {
  /**
   * The value of the WWW-Authenticate header (RFC 9110 §11.6.1).
   *
   * @default {"Bearer"}
   */
  readonly challenge?: string;
  /** More headers of the response, such as `DPoP-Nonce`. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Options for {@linkcode Forbidden}. */
export interface ForbiddenOptions extends ErrorOptions {
  /**
   * The value of the WWW-Authenticate header. When left out, it is an `insufficient_scope` challenge
   * (RFC 6750 §3.1).
   */
  readonly challenge?: string;
  /** The scopes that the request needs. They are in the challenge unless `challenge` is given. */
  readonly scopes?: readonly string[];
}

/**
 * Refuses a request without valid credentials if thrown by `authenticate` or `authorize`: the response
 * is a 401.
 *
 * @example
 * ```ts
 * import { createMcpHandler, McpServer, Unauthorized } from "@mooring/mcp";
 *
 * createMcpHandler(new McpServer({ name: "demo", version: "1.0.0" }), {
 *   authenticate(request) {
 *     if (request.headers.get("authorization") === "Bearer open sesame") return { id: "ali" };
 *     throw new Unauthorized("Send the token that you were given");
 *   },
 * });
 * ```
 */
export class Unauthorized extends Error {
  /** The value of the WWW-Authenticate header. */
  readonly challenge: string;
  /** More headers of the response, by their names in small letters. */
  readonly headers: Readonly<Record<string, string>>;

  /**
   * Creates the error.
   *
   * @param message The message for the client
   * @throws {TypeError} If the challenge or a header is not valid
   */
  constructor(message = "Send valid credentials", options: UnauthorizedOptions = {}) {
    super(message, options);
    checkNames("Unauthorized", options, { challenge: true, headers: true, cause: true });
    this.name = "Unauthorized";
    this.challenge = headerValue(options.challenge ?? "Bearer");
    this.headers = options.headers === undefined
      ? NO_HEADERS
      : Object.fromEntries(new Headers(options.headers));
  }
}

/**
 * Refuses a request with valid credentials that don't allow it, if thrown by `authenticate` or
 * `authorize`: the response is a 403. Clients that support it request the named scopes and try again.
 */
export class Forbidden extends Error {
  /** The value of the WWW-Authenticate header. */
  readonly challenge: string;
  /** The scopes that the request needs; empty if `challenge` was given. */
  readonly scopes: readonly string[];

  /**
   * Creates the error.
   *
   * @param message The message for the client
   * @throws {TypeError} If the challenge is not a valid header value, or a scope is malformed
   */
  constructor(message = "Send credentials that allow this", options: ForbiddenOptions = {}) {
    super(message, options);
    checkNames("Forbidden", options, { challenge: true, scopes: true, cause: true });
    this.name = "Forbidden";
    const { challenge, scopes = [] } = options;
    const named = bearerChallenge({ error: "insufficient_scope", scopes });
    this.challenge = headerValue(challenge ?? named);
    this.scopes = challenge === undefined ? scopes : [];
  }
}

/**
 * Says that credentials can't be checked now, for example because the authorization server can't be
 * reached. If thrown by `authenticate` or `authorize`, the response is a 503, so that clients keep
 * their credentials. The `cause` is only reported to `onEvent`.
 */
export class Unavailable extends Error {
  /**
   * Creates the error.
   *
   * @param message The message for the client
   */
  constructor(
    message = "The server can't check credentials now: try again",
    options: ErrorOptions = {},
  ) {
    super(message, options);
    this.name = "Unavailable";
  }
}

function headerValue(challenge: string): string {
  if (typeof challenge === "string" && /^[!-~](?:[ -~]*[!-~])?$/.test(challenge)) return challenge;
  throw new TypeError("Give a challenge of visible ASCII characters and spaces");
}
