/**
 * Authenticates clients at the token endpoint: by a secret (RFC 6749 §2.3.1), or by a JWT that they sign
 * (RFC 7523 §2.2).
 *
 * @module
 */
import { jwt, Unauthorized } from "../../auth/mod.ts";
import type { Authenticate } from "../../auth/mod.ts";
import { checkNames, fromBase64, type NamesOf, sameText } from "../../kit.ts";
import { stringOption } from "../fetch/options.ts";
import { OAuthError, parameter, required } from "../http.ts";
import type { SignInSettings } from "../settings.ts";
import { bearerRequest, claimOnce, keyOptions, unverified } from "./jwts.ts";
import type { IdJagClient } from "./types.ts";

const NAMES: NamesOf<IdJagClient> = {
  id: true,
  name: true,
  secret: true,
  jwks: true,
  jwksUri: true,
  isPublic: true,
};

const ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/** The methods of all clients, for the metadata. */
export type ClientMethod =
  | "none"
  | "client_secret_basic"
  | "client_secret_post"
  | "private_key_jwt";

/** A client whose options are checked. */
export interface CheckedClient {
  readonly id: string;
  readonly name: string;
  readonly methods: readonly ClientMethod[];
  readonly secret?: string;
  /** Verifies what the client has signed. */
  readonly verify?: Authenticate;
}

/**
 * Checks the options of a client.
 *
 * @throws {TypeError} If they have the wrong type, or say two ways, or none
 */
export function checkedClient(given: IdJagClient, settings: SignInSettings): CheckedClient {
  checkNames("signIn()", given, NAMES, "idJag.clients.");
  const { secret, jwks, jwksUri, isPublic = false } = given;
  const id = stringOption("idJag.clients.id", given.id);
  const name = given.name === undefined ? id : stringOption("idJag.clients.name", given.name);
  const ways = [secret !== undefined, jwks !== undefined, jwksUri !== undefined, isPublic === true];
  if (ways.filter((way) => way).length !== 1) {
    throw new TypeError(`Give one of "secret", "jwks", "jwksUri" and "isPublic": ${id}`);
  }
  if (isPublic) return { id, name, methods: ["none"] };
  if (secret !== undefined) {
    const methods = ["client_secret_basic", "client_secret_post"] as const;
    return { id, name, methods, secret: stringOption("idJag.clients.secret", secret) };
  }
  const verify = jwt({
    issuer: id,
    audience: [settings.issuer, `${settings.issuer}/token`],
    ...keyOptions({ ...jwks && { jwks }, ...jwksUri !== undefined && { jwksUri } }, settings),
  });
  return { id, name, methods: ["private_key_jwt"], verify };
}

/**
 * Finds the client that sends a request, and makes sure that it is this one.
 *
 * @throws {OAuthError} If it isn't, or nothing says which client it is
 */
export async function authenticateClient(
  clients: ReadonlyMap<string, CheckedClient>,
  { form, headers }: { readonly form: URLSearchParams; readonly headers: Headers },
  settings: SignInSettings,
): Promise<CheckedClient> {
  const basic = basicOf(headers.get("authorization"));
  const secret = parameter(form, "client_secret") ?? basic?.secret;
  const assertion = parameter(form, "client_assertion", 8_192);
  if (
    [basic, parameter(form, "client_secret"), assertion].filter((way) => way !== undefined).length >
      1
  ) {
    throw new OAuthError("invalid_request", "Authenticate the client in one way");
  }
  const signer = assertion === undefined ? undefined : unverified(assertion).iss;
  const named = parameter(form, "client_id");
  const id = basic?.id ?? (typeof signer === "string" ? signer : required(form, "client_id"));
  const client = clients.get(id);
  if (client === undefined || named !== undefined && named !== id) throw unknownClient(basic);
  if (client.secret !== undefined) {
    if (secret !== undefined && sameText(secret, client.secret)) return client;
    throw unknownClient(basic);
  }
  if (secret !== undefined) throw unknownClient(basic);
  if (client.verify === undefined) {
    if (assertion === undefined) return client;
    throw unknownClient(basic);
  }
  const type = parameter(form, "client_assertion_type");
  if (assertion === undefined || type !== ASSERTION_TYPE) throw unknownClient(basic);
  const isItself = await signedBy(client.verify, assertion, id, settings);
  if (!isItself) throw unknownClient(basic);
  return client;
}

async function signedBy(
  verify: Authenticate,
  assertion: string,
  id: string,
  settings: SignInSettings,
): Promise<boolean> {
  try {
    const principal = await verify(bearerRequest(assertion));
    return principal.id === id && await claimOnce(settings.records, principal, settings.clock);
  } catch (error) {
    if (error instanceof Unauthorized) return false;
    throw error;
  }
}

/** Returns the id and secret of HTTP Basic, each form-encoded (RFC 6749 §2.3.1). */
function basicOf(
  header: string | null,
): { readonly id: string; readonly secret: string } | undefined {
  const [, encoded] = /^basic +([A-Za-z0-9+/]+=*)$/i.exec(header ?? "") ?? [];
  const bytes = encoded === undefined ? undefined : fromBase64(encoded);
  if (bytes === undefined) return undefined;
  const [id, secret] = new TextDecoder().decode(bytes).split(":").map((text) =>
    new URLSearchParams(`x=${text}`).get("x") ?? ""
  );
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

/** Refuses a client: by HTTP Basic, if it came by that (RFC 6749 §5.2). */
function unknownClient(basic: unknown): OAuthError {
  const headers: Record<string, string> = basic === undefined
    ? {}
    : { "www-authenticate": 'Basic realm="token"' };
  const message = "The client is unknown here, or didn't prove itself";
  return new OAuthError("invalid_client", message, 401, undefined, headers);
}
