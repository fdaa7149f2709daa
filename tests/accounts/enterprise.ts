/**
 * An enterprise: an identity provider that exchanges tokens and issues ID-JAGs, an authorization server that
 * takes these, an upstream whose tokens are checked, and a gateway in front of it. All verify real signatures.
 *
 * @module
 */
import assert from "node:assert/strict";
import { exportJWK, generateKeyPair, importJWK, type JWTPayload, jwtVerify, SignJWT } from "jose";
import { createMcpHandler, type McpEvent, type McpHandler, McpServer } from "../../mod.ts";
import { type JwkSet, jwt } from "../../src/auth/mod.ts";
import {
  type Gateway,
  gateway,
  http,
  type Upstream,
  type UserAuth,
} from "../../src/gateway/mod.ts";
import { FakeClock } from "../support/clock.ts";

export const IDP = "https://idp.example";
export const AS = "https://auth-notes.example";
export const NOTES = "https://notes.example/mcp";
export const GATEWAY = "https://gateway.example/mcp";
export const SECRET = "the-secret-at-the-idp";
export const AS_SECRET = "the-secret-at-the-server";
const TYPES = "urn:ietf:params:oauth:token-type:";
const GRANTS = "urn:ietf:params:oauth:grant-type:";

type SigningKey = Awaited<ReturnType<typeof generateKeyPair>>["privateKey"];

/** A party that signs tokens. */
export class Signer {
  readonly issuer: string;
  readonly jwks: JwkSet;
  readonly #key: SigningKey;
  readonly #clock: FakeClock;

  private constructor(issuer: string, jwks: JwkSet, key: SigningKey, clock: FakeClock) {
    this.issuer = issuer;
    this.jwks = jwks;
    this.#key = key;
    this.#clock = clock;
  }

  static async create(issuer: string, clock: FakeClock): Promise<Signer> {
    const { publicKey, privateKey } = await generateKeyPair("ES256");
    const jwk = { ...await exportJWK(publicKey), kid: issuer, alg: "ES256" };
    return new Signer(issuer, { keys: [jwk] }, privateKey, clock);
  }

  /** Signs claims; those of the token itself can be replaced, and left out by `undefined`. */
  async sign(claims: JWTPayload, { typ = "at+jwt", ttlS = 300 } = {}): Promise<string> {
    const now = Math.floor(this.#clock.now() / 1000);
    const all = {
      ...{ iss: this.issuer, iat: now, exp: now + ttlS, jti: crypto.randomUUID() },
      ...claims,
    };
    const header = { alg: "ES256", kid: this.issuer, typ };
    return await new SignJWT(JSON.parse(JSON.stringify(all))).setProtectedHeader(header)
      .sign(this.#key);
  }

  /** Returns the claims of a token of this party. */
  async verify(token: string, audience: string): Promise<JWTPayload> {
    const [jwk] = this.jwks.keys;
    assert.ok(jwk);
    const currentDate = new Date(this.#clock.now());
    const options = { issuer: this.issuer, audience, currentDate };
    return (await jwtVerify(token, await importJWK({ ...jwk }), options)).payload;
  }
}

/** A request for tokens, as a server of the enterprise got it. */
export interface TokenRequest {
  readonly origin: string;
  readonly form: URLSearchParams;
  readonly authorization: string | null;
}

/** What a test may make wrong. */
export interface EnterpriseFaults {
  /** Answers for the identity provider. */
  idp?: (form: URLSearchParams) => Response | undefined | Promise<Response | undefined>;
  /** Answers for the upstream's authorization server. */
  as?: (form: URLSearchParams) => Response | undefined | Promise<Response | undefined>;
  /** Claims, and the type, of ID-JAGs. */
  jag?: { readonly claims?: JWTPayload; readonly typ?: string };
  /** Members of the identity provider's answers. */
  answer?: Record<string, unknown>;
  /** Whether the upstream refuses every token. */
  refusesAll?: boolean;
}

/** The parties of an enterprise, without a network. */
export class Enterprise {
  readonly clock: FakeClock;
  readonly idp: Signer;
  readonly as: Signer;
  readonly faults: EnterpriseFaults = {};
  readonly requests: TokenRequest[] = [];
  /** The user and the token of each call, as the upstream verified them. */
  readonly calls: { readonly user: string; readonly token: string }[] = [];
  /** Every request to any host, as it was sent. */
  readonly sent: { readonly origin: string; readonly text: string }[] = [];
  /** Users whom the identity provider allows nothing. */
  readonly denied = new Set<string>();
  /** The lifetime of tokens for the upstream, in seconds. */
  ttlS = 600;
  readonly #upstream: McpHandler;

  private constructor(clock: FakeClock, idp: Signer, as: Signer) {
    this.clock = clock;
    this.idp = idp;
    this.as = as;
    const server = new McpServer({ name: "notes", version: "1.0.0" });
    server.registerTool("who", {}, (_args, ctx) => {
      const token = ctx.request.headers.get("authorization")?.slice("Bearer ".length) ?? "";
      this.calls.push({ user: ctx.principal.id, token });
      return ctx.principal.id;
    });
    const verified = (issuer: Signer) =>
      jwt({ issuer: issuer.issuer, audience: NOTES, jwks: issuer.jwks, clock });
    const [byIdp, byAs] = [verified(idp), verified(as)];
    this.#upstream = createMcpHandler(server, {
      path: "/mcp",
      clock,
      authenticate: async (request) => {
        try {
          return await byAs(request);
        } catch {
          return await byIdp(request);
        }
      },
    });
  }

  static async create(): Promise<Enterprise> {
    const clock = new FakeClock();
    const [idp, as] = await Promise.all([Signer.create(IDP, clock), Signer.create(AS, clock)]);
    return new Enterprise(clock, idp, as);
  }

  async close(): Promise<void> {
    await this.#upstream.close({ graceMs: 0 });
  }

  /** Returns an access token of a user for the gateway. */
  async callerToken(user: string, ttlS = 86_400): Promise<string> {
    return await this.idp.sign({ sub: user, aud: GATEWAY, client_id: "editor" }, { ttlS });
  }

  /** Answers a request to any host of the enterprise. */
  readonly fetch = async (url: URL | string, init: RequestInit = {}): Promise<Response> => {
    const { origin, pathname } = new URL(url);
    const headers = new Headers(init.headers);
    const text = `${[...headers].map(String).join()} ${String(init.body ?? "")}`;
    this.sent.push({ origin, text: decodeURIComponent(text.replaceAll("+", " ")) });
    if (origin === new URL(NOTES).origin) return await this.#atUpstream(pathname, url, init);
    const metadata = {
      issuer: origin,
      token_endpoint: `${origin}/token`,
      token_endpoint_auth_methods_supported: ["client_secret_basic", "private_key_jwt"],
    };
    if (pathname === "/.well-known/oauth-authorization-server") return Response.json(metadata);
    if (pathname !== "/token") return new Response(null, { status: 404 });
    const form = new URLSearchParams(String(init.body ?? ""));
    this.requests.push({ origin, form, authorization: headers.get("authorization") });
    if (origin === IDP) return await this.faults.idp?.(form) ?? await this.#exchange(form);
    return await this.faults.as?.(form) ?? await this.#redeem(form);
  };

  async #atUpstream(path: string, url: URL | string, init: RequestInit): Promise<Response> {
    if (path === "/.well-known/oauth-protected-resource/mcp") {
      return Response.json({ resource: NOTES, authorization_servers: [AS, IDP] });
    }
    if (path !== "/mcp") return new Response(null, { status: 404 });
    if (this.faults.refusesAll === true) {
      return new Response(null, { status: 401, headers: { "www-authenticate": "Bearer" } });
    }
    return await this.#upstream(new Request(url, init));
  }

  /** RFC 8693, with a policy by user. */
  async #exchange(form: URLSearchParams): Promise<Response> {
    const refused = (error: string) => Response.json({ error }, { status: 400 });
    if (form.get("grant_type") !== `${GRANTS}token-exchange`) return refused("unsupported");
    const audience = form.get("subject_token_type") === `${TYPES}id_token` ? "mooring" : GATEWAY;
    const claims = await this.idp.verify(form.get("subject_token") ?? "", audience)
      .catch(() => undefined);
    if (claims === undefined || this.denied.has(claims.sub ?? "")) return refused("invalid_grant");
    const type = form.get("requested_token_type") ?? "";
    const own = { sub: claims.sub, scope: form.get("scope") ?? "read" };
    const isJag = type === `${TYPES}id-jag`;
    const { claims: changed, typ = "oauth-id-jag+jwt" } = this.faults.jag ?? {};
    const token = isJag
      ? await this.idp.sign({
        ...{ ...own, aud: form.get("audience") ?? "", resource: form.get("resource") },
        ...{ client_id: "mooring-at-notes", ...changed },
      }, { typ })
      : await this.idp.sign({
        ...own,
        aud: form.get("audience") ?? form.get("resource") ?? "",
        act: { sub: "mooring" },
      }, { ttlS: this.ttlS });
    return Response.json({
      access_token: token,
      issued_token_type: type,
      token_type: isJag ? "N_A" : "Bearer",
      expires_in: isJag ? 300 : this.ttlS,
      ...this.faults.answer,
    });
  }

  /** RFC 7523, for ID-JAGs. */
  async #redeem(form: URLSearchParams): Promise<Response> {
    const refused = (error: string) => Response.json({ error }, { status: 400 });
    if (form.get("grant_type") !== `${GRANTS}jwt-bearer`) return refused("unsupported");
    const claims = await this.idp.verify(form.get("assertion") ?? "", AS).catch(() => undefined);
    if (claims === undefined || claims.client_id !== "mooring-at-notes") {
      return refused("invalid_grant");
    }
    const token = await this.as.sign(
      { sub: claims.sub, aud: String(claims.resource), scope: claims.scope },
      { ttlS: this.ttlS },
    );
    return Response.json({ access_token: token, token_type: "Bearer", expires_in: this.ttlS });
  }
}

/** A gateway in front of the upstream, and a second one that needs nothing. */
export interface EnterpriseGateway {
  readonly handler: McpHandler;
  readonly gateway: Gateway;
  readonly events: McpEvent[];
}

/** Runs a test with an enterprise and a gateway. */
export async function withEnterprise(
  authOf: (world: Enterprise) => UserAuth,
  act: (world: Enterprise & { readonly front: EnterpriseGateway }) => Promise<void>,
  others: Readonly<Record<string, Upstream>> = {},
): Promise<void> {
  const world = await Enterprise.create();
  const { clock, idp } = world;
  const gw = gateway({
    upstreams: {
      notes: http({ url: NOTES, auth: authOf(world), fetch: world.fetch }),
      ...others,
    },
    listCacheMs: 0,
  });
  const events: McpEvent[] = [];
  const handler = createMcpHandler(gw, {
    path: "/mcp",
    clock,
    authenticate: jwt({ issuer: IDP, audience: GATEWAY, jwks: idp.jwks, clock }),
    onEvent: (event) => events.push(event),
  });
  try {
    await act(Object.assign(world, { front: { handler, gateway: gw, events } }));
  } finally {
    await handler.close({ graceMs: 0 });
    await gw.close();
    await world.close();
  }
}

/** The header of a caller's token. */
export function sentAs(token: string): Readonly<Record<string, string>> {
  return { authorization: `Bearer ${token}` };
}
