/**
 * Reads what a client says of itself, in a document or a registration: RFC 7591 section 2.
 *
 * @module
 */
import { clip, escapeInvisible, isObject } from "../../kit.ts";
import { redirectUrisOf } from "./redirects.ts";
import { ClientError, type SignInClient } from "./types.ts";

const NAME_CHARACTERS = 100;
const URI_CHARACTERS = 2_000;
const SCOPE_CHARACTERS = 1_000;
/** RFC 6749 section 3.3. */
const SCOPE = /^[!#-\[\]-~]+( [!#-\[\]-~]+)*$/;
const GRANTS: readonly string[] = ["authorization_code", "refresh_token"];

/** What a client says of itself. */
export type Described = Omit<SignInClient, "id" | "kind" | "host">;

/**
 * Reads the metadata of a client.
 *
 * @param value The metadata, parsed
 * @param nameless The name of a client that gives none
 * @throws {ClientError} If a member is wrong that matters here
 */
export function described(value: unknown, nameless: string): Described {
  if (!isObject(value)) throw wrong("Give the metadata as a JSON object");
  const redirectUris = redirectUrisOf(value.redirect_uris);
  checkOffered(value.grant_types, "grant_types", "authorization_code");
  checkOffered(value.response_types, "response_types", "code");
  const scope = scopeOf(value.scope);
  const uri = pageOf(value.client_uri);
  const logoUri = pageOf(value.logo_uri);
  return {
    name: nameOf(value.client_name) ?? nameless,
    redirectUris,
    ...(uri === undefined ? {} : { uri }),
    ...(logoUri === undefined ? {} : { logoUri }),
    ...(scope === undefined ? {} : { scope }),
    ...isDpopBound(value.dpop_bound_access_tokens) && { dpopBound: true },
  };
}

/** Returns the grants that a client has of those that it wants. */
export function grantsOf(value: unknown): string[] {
  const wanted = Array.isArray(value) ? value : GRANTS;
  return GRANTS.filter((grant) => wanted.includes(grant));
}

function nameOf(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "string") throw wrong("Give a string as client_name");
  const name = escapeInvisible(value.normalize("NFC").replace(/\s+/g, " ").trim());
  return name === "" ? undefined : clip(name, NAME_CHARACTERS - 1);
}

/** Returns the address of a page, or `undefined` for what no one may be led to: it is for show alone. */
function pageOf(value: unknown): string | undefined {
  if (typeof value !== "string" || value.length > URI_CHARACTERS) return undefined;
  if (!URL.canParse(value)) return undefined;
  const { protocol, href, username, password } = new URL(value);
  return protocol === "https:" && username === "" && password === "" ? href : undefined;
}

function isDpopBound(value: unknown): boolean {
  if (value === undefined || typeof value === "boolean") return value === true;
  throw wrong("Give true or false as dpop_bound_access_tokens");
}

function scopeOf(value: unknown): string | undefined {
  if (value === undefined || value === "") return undefined;
  if (typeof value === "string" && value.length <= SCOPE_CHARACTERS && SCOPE.test(value)) {
    return value;
  }
  throw wrong(
    `Give scopes separated by spaces as scope, of at most ${SCOPE_CHARACTERS} characters`,
  );
}

function checkOffered(value: unknown, name: string, needed: string): void {
  if (value === undefined || Array.isArray(value) && value.includes(needed)) return;
  throw wrong(`Give a list with "${needed}" as ${name}, or leave it out`);
}

function wrong(message: string): ClientError {
  return new ClientError("invalid_client_metadata", message);
}
