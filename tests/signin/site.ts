/**
 * A server on a real port that users sign in to, with a certified OpenID provider behind it.
 *
 * @module
 */
import { createMcpHandler, McpServer } from "../../mod.ts";
import { systemClock } from "../../src/kit.ts";
import {
  oidc,
  type OidcOptions,
  type SignIn,
  signIn,
  type SignInEvent,
  type SignInOptions,
} from "../../src/signin/mod.ts";
import {
  type AuthorizationServer,
  startAuthorizationServer,
} from "../auth/authorization_server.ts";
import { serveAny } from "./serve_any.ts";

/** Makes the sign-in of a node, whose options may differ. */
export type MakeFront = (more?: Partial<SignInOptions>) => SignIn;

/** A running server. */
export interface Site {
  readonly origin: string;
  /** The URL of the endpoint. */
  readonly url: URL;
  readonly provider: AuthorizationServer;
  readonly events: SignInEvent[];
  /** The protocol versions of the calls. */
  readonly versions: Set<string>;
  /** Whether the provider doesn't answer. */
  away: boolean;
  /** Called with each event. */
  watch: (event: SignInEvent) => void;
  /** Lets time pass for the server: nothing waits for it. */
  pass(ms: number): void;
  /** The sign-in that answers the next request. */
  front(): Promise<SignIn>;
}

/** What differs from one server to the other. */
export interface SiteInit extends Partial<SignInOptions> {
  /** Returns what answers the next request: another node, or the same one after a restart. */
  readonly nodes?: (make: MakeFront) => () => Promise<SignIn>;
}

/** Serves for as long as `use` takes. */
export async function withSite(
  use: (site: Site) => Promise<void>,
  init: SiteInit | ((origin: string) => SiteInit) = {},
): Promise<void> {
  await using host = await serveAny();
  const { nodes = oneNode, ...options } = typeof init === "function" ? init(host.origin) : init;
  const provider = await startAuthorizationServer({
    scope: "",
    format: "opaque",
    ttlS: 60,
    redirectUris: [`${host.origin}/signin/callback`],
  });
  let passed = 0;
  const ask: OidcOptions["fetch"] = (url, asked) =>
    site.away ? Promise.reject(new TypeError("The provider is away")) : fetch(url, asked);
  const clock = { ...systemClock, now: () => Date.now() + passed };
  const events: SignInEvent[] = [];
  const make: MakeFront = (more) =>
    signIn({
      issuer: host.origin,
      resource: `${host.origin}/mcp`,
      provider: oidc({
        issuer: provider.issuer,
        clientId: "editor",
        scopes: [],
        allowInsecure: true,
        fetch: ask,
      }),
      scopes: { "notes:read": "Read your notes" },
      extraScopes: { "notes:write": "Change your notes" },
      allowInsecure: true,
      onEvent(event) {
        events.push(event);
        site.watch(event);
      },
      clock,
      ...options,
      ...more,
    });
  const front = nodes(make);
  const site: Site = {
    ...{ origin: host.origin, url: new URL(`${host.origin}/mcp`), provider, events, front },
    versions: new Set(),
    away: false,
    watch() {},
    pass: (ms) => passed += ms,
  };
  const server = new McpServer({ name: "notes", version: "1.0.0" });
  server.registerTool("who", {}, (_args, ctx) => {
    site.versions.add(ctx.protocolVersion);
    return ctx.principal.id;
  });
  server.registerTool("write", { scopes: ["notes:write"] }, () => "written");
  const { resource } = await front();
  await using handler = createMcpHandler(server, {
    path: "/mcp",
    authenticate: async (request, context) => await (await front()).authenticate(request, context),
    resource,
    clock,
  });
  host.fetch = async (request, context) =>
    (await (await front()).routes(request, context)) ?? await handler(request, context);
  try {
    await use(site);
  } finally {
    await provider.close();
  }
}

function oneNode(make: MakeFront): () => Promise<SignIn> {
  const front = make();
  return () => Promise.resolve(front);
}
