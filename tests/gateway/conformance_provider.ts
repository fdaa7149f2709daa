/**
 * Signs in for the gateway as an application does that has an `OAuthClientProvider` of its own.
 *
 * @module
 */
import {
  auth as signIn,
  computeScopeUnion,
  extractWWWAuthenticateParams,
  type OAuthClientProvider,
  type OAuthTokens,
  type StoredOAuthClientInformation,
} from "@modelcontextprotocol/client";
import type { TokenProvider } from "../../src/gateway/mod.ts";

const CALLBACK = "http://localhost:3000/callback";
/** The address of client metadata that the suite expects where clients needn't register. */
export const METADATA_URL = "https://conformance-test.local/client-metadata.json";

/** A provider without a user: whoever is asked to sign in has done so. */
class HeadlessProvider implements OAuthClientProvider {
  readonly redirectUrl = CALLBACK;
  readonly clientMetadataUrl = METADATA_URL;
  readonly clientMetadata = { client_name: "gateway", redirect_uris: [CALLBACK] };
  /** The answer to the latest sign-in. */
  callback: URLSearchParams | undefined;
  #client: StoredOAuthClientInformation | undefined;
  #tokens: OAuthTokens | undefined;
  #verifier = "";
  /** The scopes of the latest request for a token. */
  scope: string | undefined;

  clientInformation(): StoredOAuthClientInformation | undefined {
    return this.#client;
  }
  saveClientInformation(client: StoredOAuthClientInformation): void {
    this.#client = client;
  }
  tokens(): OAuthTokens | undefined {
    return this.#tokens;
  }
  saveTokens(tokens: OAuthTokens): void {
    this.#tokens = tokens;
  }
  codeVerifier(): string {
    return this.#verifier;
  }
  saveCodeVerifier(verifier: string): void {
    this.#verifier = verifier;
  }
  invalidateCredentials(what: string): void {
    if (what === "all" || what === "tokens") this.#tokens = undefined;
    if (what === "all" || what === "client") this.#client = undefined;
  }
  async redirectToAuthorization(url: URL): Promise<void> {
    this.scope = url.searchParams.get("scope") ?? undefined;
    const response = await fetch(url, { redirect: "manual" });
    await response.body?.cancel();
    const location = response.headers.get("location");
    if (location === null) throw new Error(`Nobody was redirected: ${response.status}`);
    this.callback = new URL(location, url).searchParams;
  }
}

/** Returns the tokens of an application that has a user with a browser. */
export function applicationTokens(): TokenProvider {
  const provider = new HeadlessProvider();
  return {
    token: async () => provider.tokens()?.access_token,
    async onUnauthorized({ response, serverUrl, fetchFn }) {
      const { resourceMetadataUrl, scope: asked, error } = extractWWWAuthenticateParams(response);
      const scope = error === "insufficient_scope"
        ? computeScopeUnion(provider.scope, asked)
        : asked;
      const options = {
        serverUrl,
        fetchFn,
        ...resourceMetadataUrl !== undefined && { resourceMetadataUrl },
        ...scope !== undefined && { scope },
        ...error === "insufficient_scope" && { forceReauthorization: true },
      };
      if (await signIn(provider, options) !== "REDIRECT") return;
      const { callback } = provider;
      const code = callback?.get("code");
      if (callback === undefined || !code) throw new Error("There is no code");
      const iss = callback.get("iss");
      await signIn(provider, { ...options, authorizationCode: code, ...iss !== null && { iss } });
    },
  };
}
