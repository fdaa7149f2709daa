/**
 * What `authenticate` and `authorize` throw to turn somebody away.
 *
 * @module
 */
import { bearerChallenge } from "./challenge.ts";

/** Options for {@linkcode Unauthorized}. */
export interface UnauthorizedOptions extends ErrorOptions {
  /**
   * The value of the WWW-Authenticate header (RFC 9110 §11.6.1).
   *
   * @default {"Bearer"}
   */
  readonly challenge?: string;
}

/** Options for {@linkcode Forbidden}. */
export interface ForbiddenOptions extends ErrorOptions {
  /**
   * The value of the WWW-Authenticate header. When left out it says that the scope is insufficient
   * (RFC 6750 §3.1).
   */
  readonly challenge?: string;
  /** The scopes that would do, named in the challenge unless that is given. */
  readonly scopes?: readonly string[];
}

/**
 * Thrown by `authenticate` when a request has no valid credentials: the answer is a 401.
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

  /**
   * Makes the error that turns a sender without valid credentials away.
   *
   * @param message What the client is told
   * @throws {TypeError} If the challenge can't stand in a header
   */
  constructor(message = "Send valid credentials", options: UnauthorizedOptions = {}) {
    super(message, options);
    this.name = "Unauthorized";
    this.challenge = headerValue(options.challenge ?? "Bearer");
  }
}

/**
 * Thrown by `authenticate` or `authorize` when the credentials are valid but don't allow the request:
 * the answer is a 403. A client that can asks its user for the scopes that it names, and tries again.
 */
export class Forbidden extends Error {
  /** The value of the WWW-Authenticate header. */
  readonly challenge: string;
  /** The scopes that would do, where the challenge follows from them. */
  readonly scopes: readonly string[];

  /**
   * Makes the error that turns a sender with too few rights away.
   *
   * @param message What the client is told
   * @throws {TypeError} If the challenge can't stand in a header, or a scope in a challenge
   */
  constructor(message = "Send credentials that allow this", options: ForbiddenOptions = {}) {
    super(message, options);
    this.name = "Forbidden";
    const { challenge, scopes = [] } = options;
    const named = bearerChallenge({ error: "insufficient_scope", scopes });
    this.challenge = headerValue(challenge ?? named);
    this.scopes = challenge === undefined ? scopes : [];
  }
}

/**
 * Thrown by `authenticate` or `authorize` when nobody can tell now whether credentials are valid,
 * because what would know can't be reached: the answer is a 503, and the client keeps its credentials.
 * Its `cause` is for `onEvent`.
 */
export class Unavailable extends Error {
  /**
   * Makes the error that puts a sender off.
   *
   * @param message What the client is told
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
