/**
 * Authorizes the requests to an upstream by the gateway's own rights (SEP-1046).
 *
 * @module
 */
import type { Clock } from "../../mod.ts";
import { BoundedMap, checkNames, type NamesOf } from "../kit.ts";
import { UpstreamError, type UserAuth } from "../gateway/mod.ts";
import { type Challenge, challengeOf } from "./challenge.ts";
import { type SentToken, tokenIn, UpstreamCredentials } from "./credentials.ts";
import { makeProofKey, proofAlgorithm } from "./dpop.ts";
import { AccountError } from "./errors.ts";
import { type ClientKeyOptions, clientKeys } from "./client_keys.ts";
import { checkAudience, Providers } from "./provider.ts";
import { accessSettings, authOptions } from "./settings.ts";
import type { AccountAuthOptions, AccountsOptions } from "./types.ts";

/** The most upstreams whose tokens one object keeps. */
const MOST_TOKENS = 1_000;
/** How long before its end a token is replaced at most, in milliseconds, and as a part of its life. */
const AHEAD_MS = 60_000;
const AHEAD_PART = 0.3;
/** The time in which a token that replaced a refused one is not replaced again, in milliseconds. */
const FRESH_MS = 30_000;

/** Options for {@linkcode clientCredentials}. */
export interface ClientCredentialsOptions
  extends
    Omit<AccountAuthOptions, "clientId" | "clientSecret">,
    ClientKeyOptions,
    Pick<AccountsOptions, "allowInsecure" | "innerHosts" | "fetch"> {
  /** The clock, for tests. @default the system's */
  readonly clock?: Clock;
}

const NAMES: NamesOf<ClientCredentialsOptions> = {
  clientId: true,
  clientSecret: true,
  privateKey: true,
  algorithm: true,
  issuer: true,
  scopes: true,
  audience: true,
  dpop: true,
  allowInsecure: true,
  innerHosts: true,
  fetch: true,
  clock: true,
};

interface KeptToken extends SentToken {
  readonly at: number;
  readonly dueAt: number | undefined;
  /** What the upstream's challenge asked for, for the next token. */
  readonly challenge: Challenge | undefined;
}

/**
 * Creates what authorizes the requests to an upstream by the gateway's own rights: one token for all users of
 * a process. With a private key and without `issuer`, the upstream's 401 leads to the authorization server. A
 * secret needs the `issuer` that it is for.
 *
 * @param options The client, and its secret or private key
 * @throws {TypeError} If an option has the wrong type, or is unknown
 *
 * @example
 * ```ts
 * import { clientCredentials } from "@mooring/mcp/accounts";
 * import { gateway, http } from "@mooring/mcp/gateway";
 *
 * const issuer = "https://login.example";
 * const auth = clientCredentials({ issuer, clientId: "mooring", clientSecret: "the secret" });
 * const gw = gateway({ upstreams: { notes: http({ url: "https://notes.example/mcp", auth }) } });
 * await gw.close();
 * ```
 */
export function clientCredentials(options: ClientCredentialsOptions): UserAuth {
  checkNames("clientCredentials()", options, NAMES);
  const { privateKey, algorithm, allowInsecure, innerHosts, fetch, clock: given, ...named } =
    options;
  const { clientId, clientSecret } = named;
  const client = clientKeys({ clientId, clientSecret, privateKey, algorithm });
  const { issuer, scopes = [], audience, dpop } = authOptions(named);
  const settings = accessSettings({ allowInsecure, innerHosts, fetch, clock: given });
  const { clock } = settings;
  const providers = new Providers(settings);
  const credentials = new UpstreamCredentials(providers.proofs);
  const kept = new BoundedMap<string, KeptToken>(MOST_TOKENS, () => {});
  const running = new Map<string, Promise<KeptToken>>();

  const request = async (url: string, challenge: Challenge | undefined): Promise<KeptToken> => {
    try {
      const { metadataUrl, scopes: asked = [], bound } = challenge ?? {};
      const found = await providers.find(url, metadataUrl, issuer, undefined, "machine");
      const wanted = scopes.length > 0 ? scopes : asked;
      const alg = proofAlgorithm(found, dpop, bound);
      const key = alg === undefined ? undefined : await makeProofKey(alg);
      const parameters = {
        resource: found.resource,
        ...wanted.length > 0 && { scope: wanted.join(" ") },
      };
      const tokens = await providers.clientToken(found.server, await client(), parameters, key);
      const { accessToken, expiresAt } = tokens;
      checkAudience(accessToken, found.resource, audience);
      const at = clock.now();
      const dueAt = expiresAt === undefined
        ? undefined
        : expiresAt - Math.min(AHEAD_MS, (expiresAt - at) * AHEAD_PART);
      const own: KeptToken = { tokens, key, at, dueAt, challenge };
      kept.set(url, own);
      return own;
    } catch (error) {
      const why = error instanceof AccountError ? error.message : "No token can be had";
      throw new UpstreamError("upstream", { advice: `Check the gateway's own client: ${why}` });
    }
  };

  /** Gets a token; whoever comes meanwhile waits for the same one. */
  const fresh = (url: string, challenge?: Challenge): Promise<KeptToken> => {
    const others = running.get(url);
    if (others !== undefined) return others;
    const own = request(url, challenge).finally(() => running.delete(url));
    running.set(url, own);
    return own;
  };

  return {
    async headers(context): Promise<Readonly<Record<string, string>>> {
      const { url } = context;
      const known = kept.get(url);
      const isUsable = known !== undefined &&
        (known.dueAt === undefined || clock.now() < known.dueAt);
      if (!isUsable && known === undefined && issuer === undefined) return {};
      const token = isUsable ? known : await fresh(url, known?.challenge);
      return await credentials.headers(context, token);
    },
    answered: (response, _sent, context) => credentials.answered(response, context),
    async refused(response, { authorization }, { url }) {
      if (response.status === 403) throw new UpstreamError("forbidden", { status: 403 });
      const known = kept.get(url);
      // Another call has replaced it
      if (known !== undefined && known.tokens.accessToken !== tokenIn(authorization)) return true;
      const challenge = challengeOf(response);
      const wantsKey = challenge.bound === "required" && known?.key === undefined &&
        dpop !== false;
      if (known !== undefined && !wantsKey && clock.now() - known.at < FRESH_MS) {
        throw new UpstreamError("unauthorized", {
          status: 401,
          advice: "Check the upstream: it refuses the token that the gateway has just got",
        });
      }
      await fresh(url, challenge);
      return true;
    },
  };
}
