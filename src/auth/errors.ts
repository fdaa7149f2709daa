/**
 * What `authenticate` throws to turn somebody away.
 *
 * @module
 */

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
 * Thrown by `authenticate` when the credentials are valid but don't allow the request: the answer is
 * a 403.
 */
export class Forbidden extends Error {
  /** The value of the WWW-Authenticate header. */
  readonly challenge: string;

  /**
   * Makes the error that turns a sender with too few rights away.
   *
   * @param message What the client is told
   * @throws {TypeError} If the challenge can't stand in a header, or a scope in a challenge
   */
  constructor(message = "Send credentials that allow this", options: ForbiddenOptions = {}) {
    super(message, options);
    this.name = "Forbidden";
    this.challenge = headerValue(options.challenge ?? insufficientScope(options.scopes));
  }
}

function headerValue(challenge: string): string {
  if (typeof challenge === "string" && /^[!-~](?:[ -~]*[!-~])?$/.test(challenge)) return challenge;
  throw new TypeError("Give a challenge of visible ASCII characters and spaces");
}

function insufficientScope(scopes: readonly string[] = []): string {
  for (const scope of scopes) {
    // The characters of a scope token (RFC 6749 §3.3): neither spaces nor quotes.
    if (!/^[!#-[\]-~]+$/.test(scope)) throw new TypeError(`Give scopes without spaces: ${scope}`);
  }
  const named = scopes.length === 0 ? "" : `, scope="${scopes.join(" ")}"`;
  return `Bearer error="insufficient_scope"${named}`;
}
