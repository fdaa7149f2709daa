/**
 * Authorizes the requests to an upstream by the gateway's own rights (SEP-1046).
 *
 * @module
 */
import type { Clock } from "../../mod.ts";
import { BoundedMap, checkNames, type NamesOf } from "../kit.ts";
import { UpstreamError, type UserAuth } from "../gateway/mod.ts";
import { challengeOf } from "./challenge.ts";
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
  allowInsecure: true,
  innerHosts: true,
  fetch: true,
  clock: true,
};

interface KeptToken {
  readonly token: string;
  readonly at: number;
  readonly dueAt: number | undefined;
  /** What the upstream's challenge named, for the next token. */
  readonly metadataUrl: string | undefined;
  readonly asked: readonly string[];
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
  const { issuer, scopes = [], audience } = authOptions(named);
  const settings = accessSettings({ allowInsecure, innerHosts, fetch, clock: given });
  const { clock } = settings;
  const providers = new Providers(settings);
  const kept = new BoundedMap<string, KeptToken>(MOST_TOKENS, () => {});
  const running = new Map<string, Promise<string>>();

  const request = async (
    url: string,
    metadataUrl: string | undefined,
    asked: readonly string[],
  ): Promise<string> => {
    try {
      const found = await providers.find(url, metadataUrl, issuer, undefined, "machine");
      const wanted = scopes.length > 0 ? scopes : asked;
      const { accessToken, expiresAt } = await providers.clientToken(
        found.server,
        await client(),
        {
          resource: found.resource,
          ...wanted.length > 0 && { scope: wanted.join(" ") },
        },
      );
      checkAudience(accessToken, found.resource, audience);
      const at = clock.now();
      const dueAt = expiresAt === undefined
        ? undefined
        : expiresAt - Math.min(AHEAD_MS, (expiresAt - at) * AHEAD_PART);
      kept.set(url, { token: accessToken, at, dueAt, metadataUrl, asked });
      return accessToken;
    } catch (error) {
      const why = error instanceof AccountError ? error.message : "No token can be had";
      throw new UpstreamError("upstream", { advice: `Check the gateway's own client: ${why}` });
    }
  };

  /** Gets a token; whoever comes meanwhile waits for the same one. */
  const fresh = (url: string, metadataUrl?: string, asked: readonly string[] = []) => {
    const others = running.get(url);
    if (others !== undefined) return others;
    const own = request(url, metadataUrl, asked).finally(() => running.delete(url));
    running.set(url, own);
    return own;
  };

  return {
    async headers({ url }): Promise<Readonly<Record<string, string>>> {
      const known = kept.get(url);
      const isUsable = known !== undefined &&
        (known.dueAt === undefined || clock.now() < known.dueAt);
      if (!isUsable && known === undefined && issuer === undefined) return {};
      const token = isUsable ? known.token : await fresh(url, known?.metadataUrl, known?.asked);
      return { authorization: `Bearer ${token}` };
    },
    async refused(response, { authorization }, { url }) {
      if (response.status === 403) throw new UpstreamError("forbidden", { status: 403 });
      const known = kept.get(url);
      const sent = authorization?.slice("Bearer ".length);
      // Another call has replaced it
      if (known !== undefined && known.token !== sent) return true;
      if (known !== undefined && clock.now() - known.at < FRESH_MS) {
        throw new UpstreamError("unauthorized", {
          status: 401,
          advice: "Check the upstream: it refuses the token that the gateway has just got",
        });
      }
      const { metadataUrl, scopes: asked } = challengeOf(response);
      await fresh(url, metadataUrl, asked);
      return true;
    },
  };
}
