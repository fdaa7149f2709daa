/**
 * Puts the authorization server together.
 *
 * @module
 */
import { protectedResource } from "../auth/mod.ts";
import { BoundedMap, hmacSha256, jose, peerAddress, ProofError } from "../kit.ts";
import { IdJags, JWT_BEARER } from "./assertions/id_jags.ts";
import { BrowserLogins } from "./authorize/browser_users.ts";
import { LoginFlow } from "./authorize/login.ts";
import { createClients } from "./clients/clients.ts";
import { ClientError, type Clients } from "./clients/types.ts";
import { GrantTable } from "./grants/grants.ts";
import {
  bodyForm,
  bodyText,
  errorJson,
  hasType,
  json,
  OAuthError,
  preflight,
  wrongMethod,
} from "./http.ts";
import { Keyring } from "./keyring.ts";
import { metadataOf, metadataPaths } from "./metadata.ts";
import { settingsOf, type SignInSettings } from "./settings.ts";
import { AccessTokens } from "./tokens/access_tokens.ts";
import { TokenIssuer } from "./tokens/tokens.ts";
import type { SignIn, SignInEvent, SignInGuard, SignInOptions } from "./types.ts";

/** The guards of other resources that are kept. */
const MOST_GUARDS = 1_000;

/** A route: what answers each method. */
interface RouteRow {
  readonly methods: readonly string[];
  /** Whether pages of other origins may use it. */
  readonly open: boolean;
  readonly answer: (request: Request, context: unknown) => Promise<Response>;
}

/**
 * Creates an authorization server for MCP endpoints: clients sign their users in here, and the provider says
 * who the users are.
 *
 * @throws {TypeError} If an option is missing, unknown, or has the wrong type
 * @throws {RangeError} If a number is out of range
 *
 * @example
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { type Provider, signIn } from "@mooring/mcp/signin";
 *
 * declare const provider: Provider;
 *
 * function start() {
 *   const front = signIn({
 *     issuer: "https://mcp.example",
 *     resource: "https://mcp.example/mcp",
 *     provider,
 *     scopes: { "notes:read": "Read your notes" },
 *     allow: ({ claims }) => String(claims.email).endsWith("@example.com"),
 *   });
 *   const handler = createMcpHandler(new McpServer({ name: "notes", version: "1.0.0" }), {
 *     path: "/mcp",
 *     authenticate: front.authenticate,
 *     resource: front.resource,
 *   });
 *   return async (request: Request) => (await front.routes(request)) ?? handler(request);
 * }
 * console.assert(typeof start === "function");
 * ```
 */
export function signIn(options: SignInOptions): SignIn {
  // Where one of these packages is missing, this says so before the first request.
  jose();
  hmacSha256(new Uint8Array(32), new Uint8Array());
  const settings = settingsOf(options);
  const { records, clock, lifetimes, report } = settings;
  const keyring = new Keyring({
    ...{ records, clock, ...lifetimes },
    onRotated: () => report({ step: "key", outcome: "passed", reason: "key-made" }),
  });
  const grants: GrantTable = new GrantTable({
    ...{ records, keyring, clock, lifetimes },
    onEnded(grant, reason) {
      access.onEnded(grant.id);
      const facts = { client: grant.client.id, user: grant.user.id, grant: grant.id };
      report({ step: "grant", outcome: "passed", reason, ...facts });
      options.onGrantEnded?.(grant, reason);
    },
  });
  const access = new AccessTokens(settings, keyring, grants);
  const { clients: configured, registration, documents, allowInsecure, fetch, proofs } = settings;
  const clients = createClients({
    ...{ records, clock, allowInsecure, bindsTokens: proofs !== undefined },
    ...configured !== undefined && { clients: configured },
    ...registration !== undefined && { registration },
    ...documents !== undefined && { documents },
    ...fetch !== undefined && { fetch },
  });
  const idJags = settings.idJag === undefined
    ? undefined
    : new IdJags(settings.idJag, { settings, keyring, grants, access });
  const tokens = new TokenIssuer({ settings, keyring, grants, access, clients });
  const flow = new LoginFlow({ settings, clients, keyring, grants, tokens });
  const guards = new Map(settings.resources.map((each) => [each, guardOf(each, settings, access)]));
  const [first] = guards.values();
  if (first === undefined) throw new TypeError('Give one URL or more as "resource"');
  const browser = new BrowserLogins(settings);
  const routes = routesOf(settings, { clients, keyring, tokens, flow, browser, idJags });
  const others = new BoundedMap<string, SignInGuard>(MOST_GUARDS);
  let closed = false;
  return {
    ...first,
    paths: [...routes.keys()],
    at(resource) {
      const known = guards.get(resource) ?? others.get(resource);
      if (known !== undefined) return known;
      if (settings.resourceNamed(resource) !== resource) {
        throw new RangeError(`Unknown resource: ${resource}`);
      }
      const guard = guardOf(resource, settings, access);
      others.set(resource, guard);
      return guard;
    },
    async routes(request, context) {
      const { pathname } = new URL(request.url);
      const row = routes.get(pathname);
      if (row === undefined) {
        for (const { resource } of guards.values()) {
          const described = resource.respond(request);
          if (described !== undefined) return described;
        }
        return undefined;
      }
      if (closed) return errorJson(new OAuthError("temporarily_unavailable", "Closed", 503, 5));
      if (row.open && request.method === "OPTIONS") return preflight(row.methods.join(", "));
      if (!row.methods.includes(request.method)) return wrongMethod(row.methods.join(", "));
      return await row.answer(request, context);
    },
    browser: {
      principal: (request) => browser.principal(request),
      login: (request, returnTo) => browser.login(request, returnTo),
    },
    grants,
    async idToken({ id, issuer, claims }) {
      const { sid } = claims ?? {};
      const found = typeof sid === "string" ? await grants.find(sid) : undefined;
      if (found === undefined || found.value.ended !== undefined) return undefined;
      const { user, idToken } = found.value;
      return user.id === id && user.issuer === issuer ? idToken : undefined;
    },
    async close() {
      closed = true;
    },
  };
}

function guardOf(resource: string, settings: SignInSettings, access: AccessTokens): SignInGuard {
  return {
    authenticate: access.authenticateFor(resource),
    resource: protectedResource({
      resource,
      authorizationServers: [settings.issuer],
      scopes: settings.firstScopes,
      ...settings.proofs !== undefined && { dpop: settings.proofs.use },
    }),
  };
}

/** The parts that answer. */
interface Answerers {
  readonly clients: Clients;
  readonly keyring: Keyring;
  readonly tokens: TokenIssuer;
  readonly flow: LoginFlow;
  readonly browser: BrowserLogins;
  readonly idJags: IdJags | undefined;
}

function routesOf(
  settings: SignInSettings,
  { clients, keyring, tokens, flow, browser, idJags }: Answerers,
): ReadonlyMap<string, RouteRow> {
  const { basePath } = settings;
  const metadata = metadataOf(settings, clients.register !== undefined, idJags?.methods);
  const cached = { "cache-control": "public, max-age=300" };
  const register = clients.register;
  const rows: [string, RouteRow][] = [
    ...[...metadataPaths(settings)].map((path): [string, RouteRow] => [path, {
      methods: ["GET"],
      open: true,
      answer: async () => json(metadata, 200, cached),
    }]),
    [`${basePath}/jwks`, {
      methods: ["GET"],
      open: true,
      answer: () => told(settings, "key", async () => json(await keyring.jwks(), 200, cached)),
    }],
    [`${basePath}/token`, {
      methods: ["POST"],
      open: true,
      answer: (request) =>
        told(
          settings,
          "token",
          async () => {
            const proof = await tokens.proofOf(request);
            const form = await bodyForm(request, settings.clock);
            if (idJags === undefined || form.get("grant_type") !== JWT_BEARER) {
              return json(await tokens.token(form, proof));
            }
            return json(await idJags.token(form, request.headers, proof));
          },
        ),
    }],
    [`${basePath}/revoke`, {
      methods: ["POST"],
      open: true,
      answer: (request) =>
        told(settings, "revoke", async () => {
          await tokens.revoke(await bodyForm(request, settings.clock));
          return json({});
        }),
    }],
    [`${basePath}/authorize`, {
      methods: ["GET"],
      open: false,
      answer: (request) => flow.authorize(request),
    }],
    [`${basePath}/signin/callback`, {
      methods: ["GET"],
      open: false,
      answer: async (request) => await browser.callback(request) ?? await flow.callback(request),
    }],
    [`${basePath}/signin/consent`, {
      methods: ["GET", "POST"],
      open: false,
      answer: (request) => flow.consent(request),
    }],
  ];
  if (register === undefined) return new Map(rows);
  rows.push([`${basePath}/register`, {
    methods: ["POST"],
    open: true,
    answer: (request, context) =>
      told(settings, "register", async () => {
        if (!hasType(request, "application/json")) {
          throw new OAuthError("invalid_client_metadata", "Send a body of application/json");
        }
        const from = settings.sender?.(request, context) ??
          peerAddress(context, () => request) ?? "unknown";
        const client = await register(parsed(await bodyText(request, settings.clock)), from);
        settings.report({
          ...{ step: "register", outcome: "passed", reason: "registered" },
          client: String(client.client_id),
        });
        return json(client, 201);
      }),
  }]);
  return new Map(rows);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new OAuthError("invalid_client_metadata", "Send JSON");
  }
}

/** Answers with what `answer` returns, or with its error. */
async function told(
  { report }: SignInSettings,
  step: SignInEvent["step"],
  answer: () => Promise<Response>,
): Promise<Response> {
  try {
    return await answer();
  } catch (error) {
    if (error instanceof ClientError) {
      report({ step, outcome: "refused", reason: `${error.code}: ${error.message}` });
      const { code, message, status, retryAfterS } = error;
      return errorJson(new OAuthError(code, message, status, retryAfterS));
    }
    if (error instanceof OAuthError || error instanceof ProofError) {
      const { code, message, headers } = error;
      report({ step, outcome: "refused", reason: `${code}: ${message}` });
      const isProof = error instanceof ProofError;
      return errorJson(isProof ? new OAuthError(code, message, 400, undefined, headers) : error);
    }
    report({ step, outcome: "failed", reason: "internal-error", error });
    return errorJson(new OAuthError("temporarily_unavailable", "Try again", 503, 1));
  }
}
