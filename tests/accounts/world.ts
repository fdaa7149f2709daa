/**
 * Upstreams with authorization servers that a test can make wrong, users with browsers, and nodes of a
 * gateway that share a store.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createMcpHandler, type McpEvent, type McpHandler, McpServer } from "../../mod.ts";
import {
  type AccountAuthOptions,
  type AccountEvent,
  type Accounts,
  accounts,
  type AccountsOptions,
} from "../../src/accounts/mod.ts";
import { memoryStore, type Store } from "../../src/cluster/mod.ts";
import {
  type Gateway,
  gateway,
  type GatewayOptions,
  http,
  type Upstream,
  type UserAuth,
} from "../../src/gateway/mod.ts";
import type { Clock } from "../../src/internal/clock.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { challengeOf } from "../../src/signin/pkce.ts";
import { FakeClock } from "../support/clock.ts";
import { ModernPeer } from "../support/modern.ts";
import { ProofReader } from "../support/proof_reader.ts";
import { as, byToken, initialize, type Peer } from "../support/wire.ts";

export const GATEWAY = "https://gateway.example";
export const KEYS = ["the secret of all nodes in the tests"];

/** What a test may make wrong at an authorization server and its upstream. */
export interface Faults {
  /** Members of the server's metadata. */
  metadata?: JsonObject;
  /** Members of the upstream's metadata. */
  resource?: JsonObject;
  /** The challenge's URL of the metadata. */
  metadataUrl?: string;
  /** The `iss` of the answer to the browser; `null` leaves it out. */
  iss?: string | null;
  /** The audience of tokens, which are JWTs then. */
  audience?: string;
  /** Whether the upstream refuses every token. */
  refusesAll?: boolean;
  /** Whether the refresh token before the last may be used once more, for answers that got lost. */
  hasGrace?: boolean;
  /** Whether the upstream opens a session for everybody, and asks for a token after that. */
  opensForAll?: boolean;
  /** Whether there are no refresh tokens. */
  hasNoRefresh?: boolean;
  /** Called with each refresh token that is used, and what became of it. */
  refreshed?: (token: string, user: string, outcome: "issued" | "reused" | "refused") => void;
  /** Tokens that are bound to a key. */
  dpop?: BoundTokens;
  /** Answers a request for tokens. */
  token?: (form: URLSearchParams) => Response | undefined | Promise<Response | undefined>;
}

/** The methods that open a session. */
const OPENING: ReadonlySet<unknown> = new Set([
  "initialize",
  "notifications/initialized",
  "server/discover",
]);

/** How a service has tokens that are bound to a key. */
export interface BoundTokens {
  /** What the authorization server says and does; `"silent"` binds nothing, whatever it says. */
  readonly server?: "binds" | "silent";
  /** What the upstream takes; it says so in its metadata (`"metadata"`) or in its challenge alone. */
  readonly upstream?: "required" | "offered";
  readonly saysBy?: "metadata" | "challenge";
  /** The nonce that proofs must have, if they must. Called for each check. */
  readonly nonce?: () => string;
}

interface Grant {
  readonly user: string;
  readonly scopes: readonly string[];
  isRevoked: boolean;
  /** The refresh token that may be used. */
  refresh: string;
  /** The fingerprint of the key that its tokens are bound to. */
  jkt?: string | undefined;
}

/** An upstream at which users have accounts, and its authorization server. */
export class Service {
  readonly faults: Faults = {};
  readonly name: string;
  readonly url: string;
  readonly issuer: string;
  /** Who called which tool with whose token, in order. */
  readonly calls: string[] = [];
  /** Every secret that the server has given. */
  readonly secrets = new Set<string>();
  readonly registrations: JsonObject[] = [];
  readonly requests: {
    readonly path: string;
    readonly form: URLSearchParams;
    readonly authorization: string | null;
  }[] = [];
  logins = 0;
  refreshes = 0;
  reuses = 0;
  /** The lifetime of access tokens, in seconds. */
  ttlS = 3600;
  readonly #codes = new Map<string, { grant: Grant; form: URLSearchParams }>();
  readonly #tokens = new Map<string, { grant: Grant; until: number }>();
  readonly #refresh = new Map<string, Grant>();
  readonly #clock: Clock;
  readonly #proofs: ProofReader;
  /** The fingerprints of all keys that were proved to the server, and to the upstream. */
  readonly keys = { server: new Set<string>(), upstream: new Set<string>() };
  /** The requests that had to be sent again with a nonce. */
  nonceErrors = 0;
  readonly #handler: McpHandler;
  #count = 0;

  constructor(name: string, clock: Clock) {
    this.name = name;
    this.url = `https://${name}.example/mcp`;
    this.issuer = `https://login-${name}.example`;
    this.#clock = clock;
    this.#proofs = new ProofReader(clock);
    const server = new McpServer({ name, version: "1.0.0" });
    server.registerTool("who", {}, (_args, ctx) => ctx.principal.id);
    server.registerTool("write", {}, (_args, ctx) => `${ctx.principal.id} wrote`);
    this.#handler = createMcpHandler(server, {
      path: "/mcp",
      clock,
      authenticate: (request) => ({ id: request.headers.get("x-subject") ?? "nobody" }),
    });
  }

  async close(): Promise<void> {
    await this.#handler.close({ graceMs: 0 });
  }

  #secret(kind: string): string {
    const secret = `${kind}-${this.name}-${++this.#count}-secret`;
    this.secrets.add(secret);
    return secret;
  }

  /** The user signs in and agrees. Returns where the browser is sent. */
  authorize(url: URL, user: string): URL {
    this.logins++;
    const form = url.searchParams;
    assert.equal(form.get("code_challenge_method"), "S256");
    const scopes = (form.get("scope") ?? "").split(" ").filter((scope) => scope !== "");
    const grant: Grant = { user: `${user}@${this.name}`, scopes, isRevoked: false, refresh: "" };
    const code = this.#secret("code");
    this.#codes.set(code, { grant, form });
    const back = new URL(form.get("redirect_uri") ?? "");
    back.searchParams.set("code", code);
    back.searchParams.set("state", form.get("state") ?? "");
    const { iss = this.issuer } = this.faults;
    if (iss !== null) back.searchParams.set("iss", iss);
    return back;
  }

  /** Revokes everything of a user, as the user or the provider does. */
  revokeAll(user: string): void {
    for (const { grant } of this.#tokens.values()) {
      if (grant.user === `${user}@${this.name}`) grant.isRevoked = true;
    }
  }

  /** Revokes every token. */
  revokeAllTokens(): void {
    for (const { grant } of this.#tokens.values()) grant.isRevoked = true;
  }

  /** Returns whose token it is, if it can be used. */
  userOf(token: string): string | undefined {
    const known = this.#tokens.get(token);
    if (known === undefined || known.grant.isRevoked) return undefined;
    return this.#clock.now() < known.until ? known.grant.user : undefined;
  }

  async fetch(url: URL, init: RequestInit): Promise<Response | undefined> {
    if (url.origin === new URL(this.url).origin) return await this.#upstream(url, init);
    if (url.origin !== this.issuer) return undefined;
    const form = new URLSearchParams(String(init.body ?? ""));
    const authorization = new Headers(init.headers).get("authorization");
    this.requests.push({ path: url.pathname, form, authorization });
    switch (url.pathname) {
      case "/.well-known/oauth-authorization-server":
        return Response.json({
          issuer: this.issuer,
          authorization_endpoint: `${this.issuer}/authorize`,
          token_endpoint: `${this.issuer}/token`,
          registration_endpoint: `${this.issuer}/register`,
          revocation_endpoint: `${this.issuer}/revoke`,
          code_challenge_methods_supported: ["S256"],
          authorization_response_iss_parameter_supported: true,
          client_id_metadata_document_supported: true,
          ...this.faults.dpop?.server !== undefined && {
            dpop_signing_alg_values_supported: ["ES384", "ES256"],
          },
          ...this.faults.metadata,
        });
      case "/register": {
        const given: JsonObject = JSON.parse(String(init.body));
        this.registrations.push(given);
        return Response.json({ ...given, client_id: `client-${this.registrations.length}` }, {
          status: 201,
        });
      }
      case "/token":
        return await this.#tokenAnswer(form, new Headers(init.headers).get("dpop"));
      case "/revoke": {
        const token = form.get("token") ?? "";
        const grant = this.#refresh.get(token) ?? this.#tokens.get(token)?.grant;
        if (grant !== undefined) grant.isRevoked = true;
        return new Response(null);
      }
    }
    return new Response(null, { status: 404 });
  }

  /** Answers a request for tokens, with a nonce if proofs need one. */
  async #tokenAnswer(form: URLSearchParams, proof: string | null): Promise<Response> {
    const { dpop } = this.faults;
    if (proof === null || dpop?.server !== "binds") {
      return await this.faults.token?.(form) ?? await this.#token(form);
    }
    const { jkt, nonce } = await this.#proofs.read(proof, {
      ...{ method: "POST", url: `${this.issuer}/token` },
    });
    this.keys.server.add(jkt);
    const wanted = dpop.nonce?.();
    if (wanted !== undefined && nonce !== wanted) {
      this.nonceErrors++;
      const headers = { "dpop-nonce": wanted };
      return Response.json({ error: "use_dpop_nonce" }, { status: 400, headers });
    }
    return await this.faults.token?.(form) ?? await this.#token(form, jkt);
  }

  async #token(form: URLSearchParams, jkt?: string): Promise<Response> {
    const refused = () => Response.json({ error: "invalid_grant" }, { status: 400 });
    if (form.get("grant_type") === "authorization_code") {
      const code = form.get("code") ?? "";
      const begun = this.#codes.get(code);
      this.#codes.delete(code);
      if (begun === undefined) return refused();
      const isProof = begun.form.get("code_challenge") ===
        await challengeOf(form.get("code_verifier") ?? "");
      const isSame = ["redirect_uri", "client_id", "resource"].every((name) =>
        // A client with a secret names itself in a header
        begun.form.get(name) === (form.get(name) ?? begun.form.get(name))
      );
      const wanted = begun.form.get("dpop_jkt");
      const isKey = this.faults.dpop?.server !== "binds" || wanted === null || wanted === jkt;
      if (!isProof || !isSame || !isKey) return refused();
      return this.issue({ ...begun.grant, jkt });
    }
    const token = form.get("refresh_token") ?? "";
    const grant = this.#refresh.get(token);
    const note = (outcome: "issued" | "reused" | "refused") =>
      this.faults.refreshed?.(token, grant?.user ?? "", outcome);
    if (grant === undefined || grant.isRevoked) {
      note("refused");
      return refused();
    }
    if (grant.refresh !== token && this.faults.hasGrace !== true) {
      // A token family ends whose token is used twice
      this.reuses++;
      grant.isRevoked = true;
      note("reused");
      return refused();
    }
    if (grant.jkt !== jkt) return refused();
    this.refreshes++;
    note("issued");
    return this.issue(grant);
  }

  /** Issues tokens. */
  issue(grant: Grant): Response {
    const { audience, hasNoRefresh } = this.faults;
    const secret = this.#secret("access");
    const token = audience === undefined
      ? secret
      : `e30.${btoa(JSON.stringify({ aud: audience })).replaceAll("=", "")}.${secret}`;
    this.secrets.add(token);
    this.#tokens.set(token, { grant, until: this.#clock.now() + this.ttlS * 1000 });
    grant.refresh = this.#secret("refresh");
    this.#refresh.set(grant.refresh, grant);
    return Response.json({
      access_token: token,
      token_type: grant.jkt === undefined ? "Bearer" : "DPoP",
      expires_in: this.ttlS,
      scope: grant.scopes.join(" "),
      ...hasNoRefresh !== true && { refresh_token: grant.refresh },
    });
  }

  async #upstream(url: URL, init: RequestInit): Promise<Response> {
    const base = new URL(this.url).origin;
    const metadata = `${base}/.well-known/oauth-protected-resource/mcp`;
    if (url.href === metadata) {
      return Response.json({
        resource: this.url,
        authorization_servers: [this.issuer],
        ...this.faults.dpop?.saysBy === "metadata" && {
          dpop_bound_access_tokens_required: this.faults.dpop.upstream === "required",
        },
        ...this.faults.resource,
      });
    }
    if (url.pathname !== "/mcp") return new Response(null, { status: 404 });
    const headers = new Headers(init.headers);
    const [scheme, token = ""] = (headers.get("authorization") ?? "").split(" ");
    const known = this.#tokens.get(token);
    const { dpop } = this.faults;
    const jkt = known?.grant.jkt;
    const isRightScheme = scheme === (jkt === undefined ? "Bearer" : "DPoP") &&
      (jkt !== undefined || dpop?.upstream !== "required");
    if (scheme === "DPoP") {
      const proof = headers.get("dpop") ?? "";
      const expected = { method: init.method ?? "GET", url: this.url, token };
      const proved = await this.#proofs.read(proof, expected);
      this.keys.upstream.add(proved.jkt);
      assert.equal(proved.jkt, jkt);
      const wanted = dpop?.nonce?.();
      if (wanted !== undefined && proved.nonce !== wanted) {
        this.nonceErrors++;
        return new Response(null, {
          status: 401,
          headers: { "www-authenticate": 'DPoP error="use_dpop_nonce"', "dpop-nonce": wanted },
        });
      }
    }
    const isValid = isRightScheme && known !== undefined && !known.grant.isRevoked &&
      this.#clock.now() < known.until && this.faults.refusesAll !== true;
    const { metadataUrl = metadata } = this.faults;
    const body = init.method === "POST" ? JSON.parse(String(init.body)) : {};
    const isOpening = this.faults.opensForAll === true && OPENING.has(body.method);
    if (!isValid && !isOpening) {
      const parameters = `resource_metadata="${metadataUrl}", scope="read"`;
      const bound = `DPoP algs="ES256", ${parameters}`;
      const challenge = dpop?.saysBy !== "challenge"
        ? `Bearer ${parameters}`
        : dpop.upstream === "required"
        ? bound
        : `Bearer ${parameters}, ${bound}`;
      return new Response(null, { status: 401, headers: { "www-authenticate": challenge } });
    }
    if (known !== undefined && body.method === "tools/call") {
      if (body.params.name === "write" && !known.grant.scopes.includes("write")) {
        const challenge = `Bearer error="insufficient_scope", scope="write"`;
        return new Response(null, { status: 403, headers: { "www-authenticate": challenge } });
      }
      this.calls.push(`${known.grant.user} ${body.params.name}`);
    }
    headers.set("x-subject", known?.grant.user ?? "nobody");
    return await this.#handler(new Request(url, { ...init, headers }));
  }
}

/** What a world is made with. */
export interface WorldOptions {
  readonly nodes?: number;
  readonly services?: readonly string[];
  readonly accounts?: Partial<AccountsOptions>;
  readonly auth?: AccountAuthOptions;
  /** Makes the upstream of a service, by default with `http()`. */
  readonly upstream?: (options: {
    readonly service: Service;
    readonly auth: UserAuth;
    readonly fetch: (url: string, init?: RequestInit) => Promise<Response>;
  }) => Upstream;
  readonly gateway?: Partial<GatewayOptions>;
  /** The store that all nodes share, or what opens it for each. */
  readonly store?: Store | (() => Store);
}

/** A node of the gateway. */
export interface Node {
  readonly accounts: Accounts;
  readonly gateway: Gateway;
  readonly handler: McpHandler;
}

/** Services, and nodes of a gateway that share a store. */
export class World {
  readonly clock = new FakeClock();
  readonly events: AccountEvent[] = [];
  readonly mcpEvents: McpEvent[] = [];
  readonly nodes: Node[] = [];
  readonly services: Service[];
  readonly #storeOf: () => Store;
  /** The store of the first node. */
  store: Store = memoryStore();
  readonly #options: WorldOptions;

  constructor(options: WorldOptions = {}) {
    this.#options = options;
    const { store = memoryStore() } = options;
    this.#storeOf = typeof store === "function" ? store : () => store;
    this.services = (options.services ?? ["notes"]).map((name) => new Service(name, this.clock));
    for (let node = 0; node < (options.nodes ?? 1); node++) this.add();
  }

  get service(): Service {
    const [first] = this.services;
    assert.ok(first);
    return first;
  }

  /** Adds a node, as after a restart. */
  add(override: Partial<AccountsOptions> = {}): Node {
    const store = this.#storeOf();
    if (this.nodes.length === 0) this.store = store;
    const own = accounts({
      url: GATEWAY,
      browser: (request) => {
        const user = request.headers.get("x-user");
        return user === null ? undefined : { id: user };
      },
      store,
      keys: KEYS,
      clock: this.clock,
      fetch: (url, init) => this.fetch(url, init),
      onEvent: (event) => this.events.push(event),
      ...this.#options.accounts,
      ...override,
    });
    const fetch = (url: string, init: RequestInit = {}) => this.fetch(new URL(url), init);
    const { upstream = ({ service: { url }, ...options }) => http({ url, ...options }) } =
      this.#options;
    const gw = gateway({
      upstreams: Object.fromEntries(
        this.services.map((service) =>
          [
            service.name,
            upstream({ service, auth: own.auth(this.#options.auth), fetch }),
          ] as const
        ),
      ),
      listCacheMs: 0,
      ...this.#options.gateway,
    });
    const handler = createMcpHandler(gw, {
      path: "/mcp",
      authenticate: byToken,
      store,
      onEvent: (event) => this.mcpEvents.push(event),
      requests: { stateKeys: KEYS },
      ...store.shared === true && { cluster: { keys: KEYS } },
    });
    const node = { accounts: own, gateway: gw, handler };
    this.nodes.push(node);
    return node;
  }

  node(index = 0): Node {
    const node = this.nodes[index];
    assert.ok(node);
    return node;
  }

  async fetch(url: URL, init: RequestInit): Promise<Response> {
    for (const service of this.services) {
      const response = await service.fetch(url, init);
      if (response !== undefined) return response;
    }
    throw new TypeError(`Nothing is at ${url}`);
  }

  /** A 2025-11-25 client that can open links. */
  async peer(user: string, node = 0, capabilities: JsonObject = { elicitation: { url: {} } }) {
    return await initialize(this.node(node).handler, { headers: as(user), capabilities });
  }

  /** A 2026-07-28 client that can open links. */
  modern(user: string, node = 0, capabilities: JsonObject = { elicitation: { url: {} } }) {
    return new ModernPeer(this.node(node).handler, { headers: as(user), capabilities });
  }

  browser(user: string, at = GATEWAY): Browser {
    return new Browser(this, user, at);
  }

  /** The reasons of all events, as `step outcome reason`. */
  get reasons(): string[] {
    return this.events.map(({ step, outcome, reason }) => `${step} ${outcome} ${reason}`);
  }

  async close(): Promise<void> {
    for (const { accounts, gateway, handler } of this.nodes) {
      await handler.close({ graceMs: 0 });
      await gateway.close();
      accounts.close();
    }
    for (const service of this.services) await service.close();
  }
}

/** A browser of a user, without a window: keeps cookies, and sends forms. */
export class Browser {
  readonly #world: World;
  readonly #at: string;
  readonly user: string;
  readonly cookies = new Map<string, string>();

  constructor(world: World, user: string, at: string) {
    this.#world = world;
    this.user = user;
    this.#at = at;
  }

  async send(url: string | URL, init: RequestInit = {}, node = 0): Promise<Response> {
    const cookie = [...this.cookies].map((pair) => pair.join("=")).join("; ");
    const headers = { "x-user": this.user, cookie, ...init.headers as Record<string, string> };
    const request = new Request(new URL(url, this.#at), { ...init, headers });
    const response = await this.#world.node(node).accounts.routes(request);
    assert.ok(response, `No page: ${url}`);
    for (const set of response.headers.getSetCookie()) {
      const [pair = ""] = set.split(";");
      const at = pair.indexOf("=");
      if (pair.slice(at + 1) === "") this.cookies.delete(pair.slice(0, at));
      else this.cookies.set(pair.slice(0, at), pair.slice(at + 1));
    }
    return response;
  }

  /** Sends the form of a page. */
  async submit(html: string, answer = "connect", node = 0): Promise<Response> {
    const fields = [...html.matchAll(/<input type="hidden" name="(\w+)" value="([^"]*)">/g)];
    const action = /action="([^"]*)"/.exec(html)?.[1] ?? "";
    const form = Object.fromEntries(fields.map(([, name = "", value = ""]) => [name, value]));
    return await this.form(action, { ...form, answer }, node);
  }

  async form(path: string, fields: Record<string, string>, node = 0): Promise<Response> {
    return await this.send(path, {
      method: "POST",
      headers: {
        "content-type": "application/x-www-form-urlencoded",
        "sec-fetch-site": "same-origin",
        origin: this.#at,
      },
      body: new URLSearchParams(fields).toString(),
    }, node);
  }

  /** Opens a link and continues: returns the address at the authorization server. */
  async begin(link: string, node = 0): Promise<URL> {
    const page = await this.send(link, {}, node);
    const html = await page.text();
    assert.equal(page.status, 200, this.#world.reasons.join("\n"));
    const sent = await this.submit(html, "connect", node);
    assert.equal(sent.status, 303, await sent.text());
    return new URL(sent.headers.get("location") ?? "");
  }

  /** Opens a link, signs in, and comes back. */
  async connect(
    link: string,
    { node = 0, backAt = node }: { readonly node?: number; readonly backAt?: number } = {},
  ): Promise<Response> {
    const at = await this.begin(link, node);
    const service = this.#world.services.find(({ issuer }) => issuer === at.origin);
    assert.ok(service, at.href);
    return await this.send(service.authorize(at, this.user), {}, backAt);
  }
}

/** Returns the link in an error of a 2025-11-25 call. */
export async function linkOf(peer: Peer, response: Response): Promise<{ url: string; id: string }> {
  const text = await response.text();
  const data = /^data: (.*)$/m.exec(text)?.[1] ?? text;
  const message = JSON.parse(data);
  peer.check(message);
  assert.equal(message.error?.code, -32042, data);
  const [question] = message.error.data.elicitations;
  assert.equal(question.mode, "url");
  return { url: question.url, id: question.elicitationId };
}

/** Calls a tool, and connects the account if that is asked. Returns the result. */
export async function callConnected(
  world: World,
  peer: Peer,
  user: string,
  tool: string,
  id = 100,
): Promise<JsonObject> {
  const response = await peer.call(id, tool);
  const copy = response.clone();
  const text = await copy.text();
  if (!text.includes("-32042")) return await peer.result(response);
  const { url } = await linkOf(peer, response);
  const page = await world.browser(user).connect(url);
  assert.equal(page.status, 200, await page.text());
  return await peer.result(await peer.call(id + 1, tool));
}
