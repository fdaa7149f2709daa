/**
 * Authorizes the requests to an upstream by an Identity Assertion JWT Authorization Grant of each caller, which
 * the enterprise's identity provider issues (draft-ietf-oauth-identity-assertion-authz-grant; MCP's
 * enterprise-managed authorization, SEP-990).
 *
 * @module
 */
import { checkNames, fromBase64Url, functionOption, isObject, type NamesOf } from "../kit.ts";
import type { UserAuth } from "../gateway/mod.ts";
import { callerTokens, remembering, type SubjectTokenSource } from "./caller_tokens.ts";
import { type ClientKeyOptions, clientKeys } from "./client_keys.ts";
import { AccountError } from "./errors.ts";
import { checkAudience, Providers } from "./provider.ts";
import { accessSettings, authOptions, type ServerAccess } from "./settings.ts";
import { TOKEN_EXCHANGE } from "./token_exchange.ts";

const ID_JAG = "urn:ietf:params:oauth:token-type:id-jag";
/** The grant type of assertions (RFC 7523 §2.1). */
export const JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/** The enterprise's identity provider, and how the gateway is its client. */
export interface IdentityProviderOptions extends ClientKeyOptions {
  /** Its issuer. Callers' tokens are sent to it, and nowhere else. */
  readonly issuer: string;
}

/**
 * Options for {@linkcode idJag}. `clientId` and what belongs to it are those of the upstream's authorization
 * server; without a secret and a key, the gateway is a public client there.
 */
export interface IdJagOptions extends ClientKeyOptions, ServerAccess {
  /** The upstream's authorization server. */
  readonly issuer: string;
  /** The enterprise's identity provider, which issues the grant. */
  readonly identityProvider: IdentityProviderOptions;
  /** The scopes to ask for. @default those of the upstream's challenge, if there was one */
  readonly scopes?: readonly string[] | undefined;
  /** The audience of access tokens that are JWTs. @default any of the upstream's origin */
  readonly audience?: string | undefined;
  /**
   * The token of the caller that the identity provider exchanges: best the ID token of its login.
   *
   * @default the access token of the client's request
   */
  readonly subject?: SubjectTokenSource | undefined;
}

const PROVIDER_NAMES: NamesOf<IdentityProviderOptions> = {
  issuer: true,
  clientId: true,
  clientSecret: true,
  privateKey: true,
  algorithm: true,
};

const NAMES: NamesOf<IdJagOptions> = {
  ...PROVIDER_NAMES,
  identityProvider: true,
  scopes: true,
  audience: true,
  subject: true,
  allowInsecure: true,
  innerHosts: true,
  fetch: true,
  clock: true,
};

/**
 * Creates what authorizes the requests to an upstream on behalf of each caller, as the enterprise's identity
 * provider allows: it exchanges the caller's token for an ID-JAG (RFC 8693), for which the upstream's
 * authorization server gives an access token (RFC 7523). Nobody is asked.
 *
 * @param options Both servers, and how the gateway is their client
 * @throws {TypeError} If an option is missing, unknown, or has the wrong type
 *
 * @example
 * ```ts
 * import { idJag } from "@mooring/mcp/accounts";
 * import { gateway, http } from "@mooring/mcp/gateway";
 *
 * const auth = idJag({
 *   issuer: "https://auth.notes.example",
 *   clientId: "mooring-at-notes",
 *   clientSecret: "the secret there",
 *   identityProvider: {
 *     issuer: "https://idp.example",
 *     clientId: "mooring",
 *     clientSecret: "the secret",
 *   },
 * });
 * const gw = gateway({ upstreams: { notes: http({ url: "https://notes.example/mcp", auth }) } });
 * await gw.close();
 * ```
 */
export function idJag(options: IdJagOptions): UserAuth {
  checkNames("idJag()", options, NAMES);
  const { issuer, scopes, audience, identityProvider } = options;
  if (issuer === undefined) throw new TypeError('Give the upstream\'s "issuer"');
  if (!isObject(identityProvider) || !URL.canParse(String(identityProvider.issuer))) {
    throw new TypeError('Give an object with an "issuer" as "identityProvider"');
  }
  checkNames("idJag()", identityProvider, PROVIDER_NAMES, "identityProvider.");
  const client = clientKeys(options, true);
  const ownAtProvider = clientKeys(identityProvider);
  const { scopes: own = [] } = authOptions({
    ...{ issuer, ...scopes !== undefined && { scopes } },
    ...audience !== undefined && { audience },
  });
  const settings = accessSettings(options);
  const { clock } = settings;
  const providers = new Providers(settings);
  const find = remembering(clock, (url, metadataUrl) => {
    return providers.find(url, metadataUrl, issuer, undefined, "machine");
  });
  const findProvider = remembering(clock, (provider) => providers.server(provider, "machine"));
  return callerTokens({
    subject: functionOption("subject", options.subject),
    clock,
    async request({ url, subject, metadataUrl, asked }) {
      const { server, resource } = await find(url, metadataUrl);
      const wanted = own.length > 0 ? own : asked;
      const scope: Readonly<Record<string, string>> = wanted.length > 0
        ? { scope: wanted.join(" ") }
        : {};
      const { accessToken: assertion } = await providers.grantToken(
        await findProvider(identityProvider.issuer),
        await ownAtProvider(),
        {
          type: TOKEN_EXCHANGE,
          parameters: {
            ...{ subject_token: subject.token, subject_token_type: subject.type },
            ...{ requested_token_type: ID_JAG, audience: server.issuer, resource },
            ...scope,
          },
          issuedType: ID_JAG,
          tokenType: "n_a",
        },
      );
      checkAssertion(assertion, server.issuer);
      const tokens = await providers.grantToken(server, await client(), {
        type: JWT_BEARER,
        parameters: { assertion, resource, ...scope },
      });
      checkAudience(tokens.accessToken, resource, audience);
      return tokens;
    },
  });
}

/**
 * Checks that an assertion is for a server, before it is sent there. One that is encrypted can't be read here.
 *
 * @throws {AccountError} If it is for another server, or isn't an ID-JAG
 */
function checkAssertion(assertion: string, issuer: string): void {
  const parts = assertion.split(".");
  if (parts.length === 5) return;
  const [header, claims] = parts.map(decoded);
  if (parts.length !== 3 || header?.typ !== "oauth-id-jag+jwt") {
    throw new AccountError("wrong-token-type", "The identity provider answered without an ID-JAG");
  }
  const { aud } = claims ?? {};
  if ((Array.isArray(aud) && aud.length === 1 ? aud[0] : aud) !== issuer) {
    throw new AccountError("foreign-audience", "The ID-JAG is for another server");
  }
}

function decoded(part: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(fromBase64Url(part)));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
