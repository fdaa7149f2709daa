/**
 * Authorizes the requests to an upstream by exchanging each caller's token (RFC 8693).
 *
 * @module
 */
import { checkNames, functionOption, type NamesOf } from "../kit.ts";
import type { UserAuth } from "../gateway/mod.ts";
import {
  ACCESS_TOKEN,
  callerTokens,
  remembering,
  type SubjectTokenSource,
} from "./caller_tokens.ts";
import { type ClientKeyOptions, clientKeys } from "./client_keys.ts";
import { checkAudience, Providers } from "./provider.ts";
import { accessSettings, authOptions, type ServerAccess } from "./settings.ts";

/** The grant type of a token exchange (RFC 8693 §2.1). */
export const TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";

/** Options for {@linkcode tokenExchange}. */
export interface TokenExchangeOptions extends ClientKeyOptions, ServerAccess {
  /** The authorization server. Callers' tokens are sent to it, and nowhere else. */
  readonly issuer: string;
  /** The scopes to ask for. @default those of the upstream's challenge, if there was one */
  readonly scopes?: readonly string[] | undefined;
  /**
   * The `audience` to ask for, which tokens that are JWTs must have.
   *
   * @default none is asked for, and tokens must be for the upstream's origin
   */
  readonly audience?: string | undefined;
  /** The token of the caller that is exchanged. @default the access token of the client's request */
  readonly subject?: SubjectTokenSource | undefined;
}

const NAMES: NamesOf<TokenExchangeOptions> = {
  clientId: true,
  clientSecret: true,
  privateKey: true,
  algorithm: true,
  issuer: true,
  scopes: true,
  audience: true,
  subject: true,
  allowInsecure: true,
  innerHosts: true,
  fetch: true,
  clock: true,
};

/**
 * Creates what authorizes the requests to an upstream on behalf of each caller: the caller's token is exchanged
 * at the authorization server for one of the upstream. It is kept for that caller and token alone, and replaced
 * ahead of its end.
 *
 * @param options The authorization server, and how the gateway is its client
 * @throws {TypeError} If an option is missing, unknown, or has the wrong type
 *
 * @example
 * ```ts
 * import { tokenExchange } from "@mooring/mcp/accounts";
 * import { gateway, http } from "@mooring/mcp/gateway";
 *
 * const issuer = "https://login.example";
 * const auth = tokenExchange({ issuer, clientId: "mooring", clientSecret: "the secret" });
 * const gw = gateway({ upstreams: { notes: http({ url: "https://notes.example/mcp", auth }) } });
 * await gw.close();
 * ```
 */
export function tokenExchange(options: TokenExchangeOptions): UserAuth {
  checkNames("tokenExchange()", options, NAMES);
  const { issuer, scopes, audience } = options;
  if (issuer === undefined) throw new TypeError('Give the "issuer" that exchanges tokens');
  const client = clientKeys(options);
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
  return callerTokens({
    subject: functionOption("subject", options.subject),
    clock,
    async request({ url, subject, metadataUrl, asked }) {
      const { server, resource } = await find(url, metadataUrl);
      const wanted = own.length > 0 ? own : asked;
      const tokens = await providers.grantToken(server, await client(), {
        type: TOKEN_EXCHANGE,
        parameters: {
          ...{ subject_token: subject.token, subject_token_type: subject.type },
          ...{ requested_token_type: ACCESS_TOKEN, resource },
          ...audience !== undefined && { audience },
          ...wanted.length > 0 && { scope: wanted.join(" ") },
        },
        issuedType: ACCESS_TOKEN,
      });
      checkAudience(tokens.accessToken, resource, audience);
      return tokens;
    },
  });
}
