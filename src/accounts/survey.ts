/**
 * Finds out what an upstream wants of users, without any of them.
 *
 * @module
 */
import type { AuthorizationServer } from "oauth4webapi";
import { challengeOf } from "./challenge.ts";
import { proofAlgorithm } from "./dpop.ts";
import { AccountError } from "./errors.ts";
import { JWT_BEARER } from "./id_jag.ts";
import { Providers } from "./provider.ts";
import { accessSettings, authOptions, type ServerAccess, settingsOf } from "./settings.ts";
import { TOKEN_EXCHANGE } from "./token_exchange.ts";
import type { AccountAuthOptions, AccountsOptions } from "./types.ts";

/** What an upstream wants. */
export interface SignInSurvey {
  /** The issuer that users sign in at, if there is one. */
  readonly issuer?: string;
  /** How the gateway is its client. */
  readonly client?: "configured" | "document" | "registration";
  /** The scopes that are asked for first. */
  readonly scopes: readonly string[];
  /** Why users can't sign in there. */
  readonly problem?: string;
}

/** The time for the answer of the upstream, in milliseconds. */
const TIMEOUT_MS = 10_000;

/** Asks an upstream and its authorization server what a sign-in needs. Never rejects, and registers nothing. */
export async function surveySignIn(
  url: string,
  given: AccountAuthOptions,
  options: Omit<AccountsOptions, "browser">,
): Promise<SignInSurvey> {
  let scopes: readonly string[] = given.scopes ?? [];
  try {
    const auth = authOptions(given);
    const settings = settingsOf({ ...options, browser: () => undefined });
    const send = settings.fetch ?? ((to: URL, init: RequestInit) => fetch(to, init));
    const response = await send(new URL(url), {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "ping" }),
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    await response.body?.cancel();
    const challenge = challengeOf(response);
    const providers = new Providers(settings, settings);
    const found = await providers.find(url, challenge.metadataUrl, auth.issuer);
    proofAlgorithm(found, auth.dpop, challenge.bound);
    const { server } = found;
    if (scopes.length === 0) scopes = challenge.scopes.length > 0 ? challenge.scopes : found.scopes;
    const client = providers.wayOf(server, auth);
    if (client !== undefined) return { issuer: server.issuer, client, scopes };
    const problem = 'Give a "clientId": it takes no registration, and no document of a client';
    return { issuer: server.issuer, scopes, problem };
  } catch (error) {
    const problem = error instanceof AccountError ? error.message : "It can't be asked now";
    return { scopes, problem };
  }
}

/**
 * Asks an upstream and the servers that give tokens for it on behalf of callers. Never rejects, and asks for no
 * token.
 *
 * @param issuers The server that is to exchange tokens, or to redeem the ID-JAGs of a provider
 * @returns Why no token can be had, or `undefined` if nothing speaks against it
 */
export async function surveyGrant(
  url: string,
  { issuer, provider }: { readonly issuer: string; readonly provider?: string | undefined },
  access: ServerAccess,
): Promise<string | undefined> {
  try {
    const providers = new Providers(accessSettings(access));
    const { server } = await providers.find(url, undefined, issuer, undefined, "machine");
    if (provider === undefined) return lacking(server, TOKEN_EXCHANGE);
    return lacking(await providers.server(provider, "machine"), TOKEN_EXCHANGE) ??
      lacking(server, JWT_BEARER);
  } catch (error) {
    return error instanceof AccountError ? error.message : "It can't be asked now";
  }
}

/** Says that a server doesn't name a grant among those that it names. */
function lacking(
  { issuer, grant_types_supported: named }: AuthorizationServer,
  grant: string,
): string | undefined {
  if (named === undefined || named.includes(grant)) return undefined;
  return `${issuer} doesn't name the grant ${grant} in its metadata`;
}
