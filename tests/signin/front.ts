/**
 * A sign-in with a provider that answers as a test says, a browser, and a client.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createMcpHandler, type McpHandler, McpServer } from "../../mod.ts";
import { memoryStore } from "../../src/cluster/mod.ts";
import {
  type LoginRequest,
  type Provider,
  ProviderError,
  type ProviderLogin,
  type SignIn,
  signIn,
  type SignInEvent,
  type SignInOptions,
} from "../../src/signin/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { Cookies, fieldsOf } from "./walk.ts";

export const ISSUER = "https://mcp.example";
export const RESOURCE = "https://mcp.example/mcp";
export const REDIRECT = "https://client.example/callback";
export const KEYS = ["the secret of all nodes in the tests"];

/** A provider whose answers a test chooses. */
export class ChosenProvider implements Provider {
  readonly name = "login.example";
  /** Who signs in next. */
  user = "ada";
  /** What it does instead of answering. */
  fault: "denied" | "unavailable" | "invalid" | undefined;
  /** What a refresh answers. */
  ended = false;
  refreshes = 0;
  /** How often it was asked to finish a login. */
  finishes = 0;

  authorizationUrl({ state }: LoginRequest): Promise<URL> {
    return Promise.resolve(
      new URL(`https://login.example/auth?state=${encodeURIComponent(state)}`),
    );
  }

  finish({ state }: LoginRequest, callback: URLSearchParams): Promise<ProviderLogin> {
    this.finishes++;
    if (this.fault !== undefined) throw new ProviderError(this.fault, "as the test says");
    assert.equal(callback.get("state"), state);
    return Promise.resolve(this.#login(callback.get("user") ?? this.user));
  }

  refresh(credential: string): Promise<ProviderLogin | "ended"> {
    this.refreshes++;
    if (this.fault !== undefined) throw new ProviderError(this.fault, "as the test says");
    return Promise.resolve(this.ended ? "ended" : this.#login(credential));
  }

  #login(user: string): ProviderLogin {
    return {
      subject: user,
      issuer: "https://login.example",
      claims: { sub: user, email: `${user}@example.com` },
      credential: user,
    };
  }
}

/** What differs from one world to the other. */
export type WorldOptions = Partial<SignInOptions> & { readonly clock?: FakeClock };

/** One node or more with a sign-in. */
export class World {
  readonly clock: FakeClock;
  readonly provider = new ChosenProvider();
  readonly events: SignInEvent[] = [];
  readonly ended: string[] = [];
  readonly nodes: SignIn[] = [];
  readonly handlers: McpHandler[] = [];
  readonly #options: WorldOptions;
  readonly store;

  constructor(options: WorldOptions = {}, nodes = 1) {
    this.#options = options;
    this.clock = options.clock ?? new FakeClock();
    this.store = options.store ?? memoryStore();
    for (let node = 0; node < nodes; node++) this.add();
  }

  /** Adds a node, as after a restart. */
  add(): SignIn {
    const front = signIn({
      issuer: ISSUER,
      resource: RESOURCE,
      provider: this.provider,
      scopes: { "notes:read": "Read your notes" },
      extraScopes: { "notes:write": "Change your notes" },
      clients: [
        { id: "editor", name: "The Editor", redirectUris: [REDIRECT] },
        { id: "other", redirectUris: ["https://other.example/callback"] },
      ],
      keys: KEYS,
      clock: this.clock,
      store: this.store,
      onEvent: (event) => this.events.push(event),
      onGrantEnded: (grant, reason) => this.ended.push(`${grant.user.id} ${reason}`),
      ...this.#options,
    });
    this.nodes.push(front);
    const server = new McpServer({ name: "notes", version: "1.0.0" });
    server.registerTool("who", {}, (_args, ctx) => ctx.principal.id);
    server.registerTool("write", { scopes: ["notes:write"] }, () => "written");
    this.handlers.push(
      createMcpHandler(server, {
        path: "/mcp",
        authenticate: front.authenticate,
        resource: front.resource,
        clock: this.clock,
      }),
    );
    return front;
  }

  /** Sends a request to a node: to sign-in, or to the endpoint. */
  async send(path: string, init: RequestInit = {}, node = 0): Promise<Response> {
    return await this.answer(
      new Request(new URL(path, ISSUER), { redirect: "manual", ...init }),
      node,
    );
  }

  /** Answers a request at a node. */
  async answer(request: Request, node = 0): Promise<Response> {
    const front = this.nodes[node];
    const handler = this.handlers[node];
    assert.ok(front !== undefined && handler !== undefined);
    return (await front.routes(request)) ?? await handler(request);
  }

  /** Sends a form. */
  async form(
    path: string,
    fields: Readonly<Record<string, string>>,
    node = 0,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    return await this.send(path, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
      body: new URLSearchParams(fields).toString(),
    }, node);
  }

  /** Calls a tool with an access token. */
  async call(token: string, tool = "who", node = 0): Promise<Response> {
    return await this.answer(callRequest(token, tool), node);
  }

  /** The reasons of all events, as `step reason`. */
  get reasons(): string[] {
    return this.events.map(({ step, reason }) => `${step} ${reason}`);
  }

  async close(): Promise<void> {
    for (const front of this.nodes) await front.close();
    for (const handler of this.handlers) await handler.close({ graceMs: 0 });
  }
}

/** Returns a call of a tool, in 2026-07-28; with a proof if the token is bound to a key. */
export function callRequest(token: string, tool = "who", proof?: string): Request {
  return new Request(RESOURCE, {
    method: "POST",
    headers: {
      authorization: `${proof === undefined ? "Bearer" : "DPoP"} ${token}`,
      ...proof !== undefined && { dpop: proof },
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": "2026-07-28",
      "mcp-method": "tools/call",
      "mcp-name": tool,
    },
    body: JSON.stringify({
      jsonrpc: "2.0",
      id: 1,
      method: "tools/call",
      params: {
        name: tool,
        arguments: {},
        _meta: {
          "io.modelcontextprotocol/protocolVersion": "2026-07-28",
          "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
          "io.modelcontextprotocol/clientCapabilities": {},
        },
      },
    }),
  });
}

export const VERIFIER = "v".repeat(43);

/** Returns the challenge of a verifier (RFC 7636, S256). */
export async function challengeOf(verifier: string): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier));
  return btoa(String.fromCharCode(...new Uint8Array(hash)))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The parameters of an authorization request; `undefined` leaves one out. */
export type Asked = Readonly<Record<string, string | undefined>>;

/** Returns the path of an authorization request. */
export async function authorizePath(changes: Asked = {}): Promise<string> {
  const query = new URLSearchParams();
  const all: Asked = {
    response_type: "code",
    client_id: "editor",
    redirect_uri: REDIRECT,
    state: "state of the client",
    scope: "notes:read",
    resource: RESOURCE,
    code_challenge: await challengeOf(VERIFIER),
    code_challenge_method: "S256",
    ...changes,
  };
  for (const [name, value] of Object.entries(all)) if (value !== undefined) query.set(name, value);
  return `/authorize?${query}`;
}

/** A browser: cookies, and a user who answers. */
export class TestBrowser {
  readonly cookies = new Cookies();
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  /** Visits a page of the issuer. */
  async get(path: string, node = 0): Promise<Response> {
    const response = await this.#world.send(path, { headers: this.headers() }, node);
    this.cookies.keep(response.headers);
    return response;
  }

  /** Sends a form of a page. */
  async post(path: string, fields: Readonly<Record<string, string>>, node = 0, headers = {}) {
    const response = await this.#world.form(path, fields, node, { ...this.headers(), ...headers });
    this.cookies.keep(response.headers);
    return response;
  }

  headers(): Record<string, string> {
    return { cookie: this.cookies.header };
  }

  /** Begins a login, and returns the path of the provider's answer. */
  async begin(changes: Asked = {}, node = 0): Promise<string> {
    const response = await this.get(await authorizePath(changes), node);
    assert.equal(response.status, 302, await response.text());
    const location = new URL(response.headers.get("location") ?? "");
    assert.equal(location.origin, "https://login.example");
    const state = location.searchParams.get("state") ?? "";
    return `/signin/callback?state=${encodeURIComponent(state)}&code=x`;
  }

  /** Signs in, and returns the question's path, or the client's address if nothing is asked. */
  async login(changes: Asked = {}, node = 0): Promise<URL> {
    const response = await this.get(await this.begin(changes, node), node);
    assert.ok([302, 303].includes(response.status), `${response.status} ${await response.text()}`);
    return new URL(response.headers.get("location") ?? "");
  }

  /** Answers the question of a page, and returns where the user is sent. */
  async answer(question: URL, answer = "allow", node = 0): Promise<URL> {
    const page = await this.get(question.pathname + question.search, node);
    const text = await page.text();
    assert.equal(page.status, 200, text);
    const response = await this.post(question.pathname, fieldsOf(text, answer), node);
    assert.equal(response.status, 303, await response.text());
    return new URL(response.headers.get("location") ?? "");
  }

  /** Signs in and allows: returns the code. */
  async code(changes: Asked = {}): Promise<string> {
    const at = await this.login(changes);
    const back = at.pathname === "/signin/consent" ? await this.answer(at) : at;
    assert.equal(back.searchParams.get("iss"), ISSUER);
    const code = back.searchParams.get("code");
    assert.ok(code, back.href);
    return code;
  }
}

/** The answer to a token request. */
export interface Tokens {
  readonly access_token: string;
  readonly token_type: string;
  readonly refresh_token: string;
  readonly scope: string;
  readonly error?: string;
}

/** Redeems a code. */
export async function redeem(
  world: World,
  code: string,
  changes: Readonly<Record<string, string>> = {},
  node = 0,
  headers: Record<string, string> = {},
): Promise<Response> {
  return await world.form(
    "/token",
    {
      grant_type: "authorization_code",
      client_id: "editor",
      redirect_uri: REDIRECT,
      resource: RESOURCE,
      code_verifier: VERIFIER,
      code,
      ...changes,
    },
    node,
    headers,
  );
}

/** Uses a refresh token. */
export async function refresh(
  world: World,
  token: string,
  changes: Readonly<Record<string, string>> = {},
  node = 0,
  headers: Record<string, string> = {},
): Promise<Response> {
  const fields = { grant_type: "refresh_token", client_id: "editor", refresh_token: token };
  return await world.form("/token", { ...fields, ...changes }, node, headers);
}

/** Signs a user in, and returns the tokens. */
export async function tokensOf(
  world: World,
  user = "ada",
  changes: Asked = {},
  redeemed: Readonly<Record<string, string>> = {},
): Promise<Tokens> {
  world.provider.user = user;
  const response = await redeem(world, await new TestBrowser(world).code(changes), redeemed);
  assert.equal(response.status, 200, await response.clone().text());
  return await response.json();
}
