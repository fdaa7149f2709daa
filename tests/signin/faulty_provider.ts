/**
 * An OpenID provider on a free port that a test can make wrong in every way.
 *
 * @module
 */
import { createServer, type ServerResponse } from "node:http";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { listen, type Listening } from "../auth/listen.ts";

/** What a test may change. */
export interface Faults {
  /** Claims of the ID token, instead of the right ones. */
  claims?: Record<string, unknown>;
  /** Makes the ID token, instead of signing the claims. */
  idToken?: (claims: Record<string, unknown>) => Promise<string>;
  /** Answers a request to a path itself. */
  paths?: Record<string, (outgoing: ServerResponse) => void>;
  /** Members of the metadata. */
  metadata?: Record<string, unknown>;
  /** What UserInfo says. */
  userInfo?: Record<string, unknown>;
}

/** A running provider. */
export interface FaultyProvider extends Listening {
  faults: Faults;
  /** The nonce of the ID token. */
  nonce: string;
  /** The paths that were asked, with the body of the request. */
  readonly requests: { readonly path: string; readonly body: URLSearchParams }[];
}

/** Starts a provider without faults. */
export async function startFaultyProvider(clientId: string): Promise<FaultyProvider> {
  const { privateKey, publicKey } = await generateKeyPair("RS256");
  const key = { ...await exportJWK(publicKey), kid: "k", alg: "RS256", use: "sig" };
  const server = createServer();
  const listening = await listen(server);
  const { origin } = listening;
  const provider: FaultyProvider = { ...listening, faults: {}, nonce: "", requests: [] };
  const idToken = async () => {
    const now = Math.floor(Date.now() / 1000);
    const { faults, nonce } = provider;
    const claims: Record<string, unknown> = {
      ...{ iss: origin, sub: "ada", aud: clientId, nonce, iat: now, exp: now + 300 },
      ...faults.claims,
    };
    if (faults.idToken !== undefined) return await faults.idToken(claims);
    return await new SignJWT(claims).setProtectedHeader({ alg: "RS256", kid: "k" }).sign(
      privateKey,
    );
  };
  const answers: Record<string, () => Promise<unknown> | unknown> = {
    "/.well-known/openid-configuration": () => ({
      issuer: origin,
      authorization_endpoint: `${origin}/authorize`,
      token_endpoint: `${origin}/token`,
      jwks_uri: `${origin}/jwks`,
      userinfo_endpoint: `${origin}/userinfo`,
      authorization_response_iss_parameter_supported: true,
      scopes_supported: ["openid", "offline_access"],
      ...provider.faults.metadata,
    }),
    "/jwks": () => ({ keys: [key] }),
    "/userinfo": () => ({ sub: "ada", email: "ada@example.com", ...provider.faults.userInfo }),
    "/token": async () => ({
      access_token: "access",
      token_type: "Bearer",
      refresh_token: "refresh-secret",
      id_token: await idToken(),
    }),
  };
  server.on("request", async (incoming, outgoing) => {
    let body = "";
    for await (const chunk of incoming) body += chunk;
    const path = new URL(incoming.url ?? "", origin).pathname;
    provider.requests.push({ path, body: new URLSearchParams(body) });
    const own = provider.faults.paths?.[path];
    if (own !== undefined) return own(outgoing);
    const answer = answers[path];
    if (answer === undefined) return outgoing.writeHead(404).end();
    outgoing.setHeader("content-type", "application/json");
    outgoing.end(JSON.stringify(await answer()));
  });
  return provider;
}
