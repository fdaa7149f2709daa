/**
 * Hashes principals for events, so that who keeps these can tell users apart but not name them.
 *
 * @module
 */
import { checkNames } from "../internal/known_names.ts";
import { hmacSha256, toHex } from "../internal/hashes.ts";
import type { Principal } from "../protocol/exchange.ts";

/** The hexadecimal digits of a hash: 64 bits, so that two users hardly ever share one. */
const DIGITS = 16;
/** The number of remembered hashes. */
const MOST = 1_000;

/** The bytes of a key: as many as a hash has. */
const KEY_BYTES = 32;
/** What the key is for: the same secret may have other uses. */
const PURPOSE = "mooring principals in events 1";
const utf8 = new TextEncoder();

/** Options for {@linkcode hashedPrincipals}. */
export interface HashedPrincipalsOptions {
  /**
   * The secret, of 32 bytes or more. Nodes with the same one give a principal the same hash.
   *
   * @default A random one, so that hashes differ between processes
   */
  readonly secret?: string | Uint8Array;
}

/**
 * Creates a function that names principals by a hash of issuer and id (HMAC-SHA-256, 16 hexadecimal
 * digits), for the option `events.principalName` of a handler: events and the audit trail tell users apart
 * and name none. Without the secret nobody can try out ids.
 *
 * @example
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { hashedPrincipals } from "@mooring/mcp/audit";
 *
 * await using handler = createMcpHandler(new McpServer({ name: "demo", version: "1.0.0" }), {
 *   events: { principalName: hashedPrincipals() },
 * });
 * ```
 *
 * @throws {TypeError} If the secret is neither a string nor bytes
 * @throws {RangeError} If the secret is shorter than 32 bytes
 * @throws {Error} If the package `@noble/hashes` is not installed
 */
export function hashedPrincipals(
  options: HashedPrincipalsOptions = {},
): (principal: Principal) => string {
  const { secret } = options;
  checkNames("hashedPrincipals()", options, { secret: true });
  const given = secretOption(secret);
  // Where the package for hashes is missing, this says so before the first request.
  hmacSha256(utf8.encode(PURPOSE), utf8.encode(PURPOSE));
  let key: Uint8Array | undefined;
  /** The hashes by issuer, then by id. */
  const known = new Map<string | undefined, Map<string, string>>();
  let size = 0;
  return ({ issuer, id }) => {
    const found = known.get(issuer)?.get(id);
    if (found !== undefined) return found;
    // Not before: some hosts give no random values while a module is loaded.
    key ??= given === undefined
      ? crypto.getRandomValues(new Uint8Array(KEY_BYTES))
      : hmacSha256(given, utf8.encode(PURPOSE));
    const name = utf8.encode(JSON.stringify([issuer, id]));
    const hash = toHex(hmacSha256(key, name)).slice(0, DIGITS);
    if (++size > MOST) {
      known.clear();
      size = 1;
    }
    const ids = known.get(issuer) ?? new Map<string, string>();
    known.set(issuer, ids.set(id, hash));
    return hash;
  };
}

/**
 * Creates a function that names senders by a hash of their address (HMAC-SHA-256, 16 hexadecimal digits), for
 * the option `events.address` of a handler: refusals tell senders apart and name none. Behind a proxy, give
 * what finds the address in the header that it sets.
 *
 * @param find Returns the address; the other end of the connection when left out
 *
 * @example
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { hashedAddresses } from "@mooring/mcp/audit";
 *
 * await using handler = createMcpHandler(new McpServer({ name: "demo", version: "1.0.0" }), {
 *   events: { address: hashedAddresses() },
 * });
 * ```
 *
 * @throws {TypeError} If the secret is neither a string nor bytes
 * @throws {RangeError} If the secret is shorter than 32 bytes
 * @throws {Error} If the package `@noble/hashes` is not installed
 */
export function hashedAddresses(
  options: HashedPrincipalsOptions = {},
  find: (address: string | undefined, request: Request) => string | undefined = (address) =>
    address,
): (address: string | undefined, request: Request) => string | undefined {
  const hash = hashedPrincipals(options);
  return (given, request) => {
    const address = find(given, request);
    // An issuer that no principal has keeps the hashes of both apart.
    return address === undefined ? undefined : hash({ issuer: "mooring:address", id: address });
  };
}

function secretOption(secret: unknown): Uint8Array | undefined {
  if (secret === undefined) return undefined;
  const bytes = typeof secret === "string" ? utf8.encode(secret) : secret;
  if (!(bytes instanceof Uint8Array)) {
    throw new TypeError(`Give a string or bytes as "secret": ${typeof secret}`);
  }
  if (bytes.length < KEY_BYTES) {
    throw new RangeError(`Give ${KEY_BYTES} bytes or more as "secret": ${bytes.length}`);
  }
  return bytes;
}
