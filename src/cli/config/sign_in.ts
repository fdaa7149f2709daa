/**
 * Turns the key `signIn` of a configuration into the options of sign-in, and finds what can't hold.
 *
 * @module
 */
import { isLoopback, isObject } from "../../kit.ts";
import { endpointUrl } from "../../kit_node.ts";
import {
  auth0,
  entra,
  github,
  google,
  keycloak,
  oidc,
  okta,
  type Provider,
  type ProviderLogin,
  signIn,
  type SignInOptions,
} from "../../signin/mod.ts";
import type { Config } from "./schema.ts";

type SignInConfig = NonNullable<Config["signIn"]>;

/** What makes each type of provider. Each checks its options itself. */
const PROVIDERS = { oidc, google, github, entra, okta, auth0, keycloak } as const;

/** The types of providers that a configuration may name. */
export const PROVIDER_TYPES = Object.keys(PROVIDERS) as readonly (keyof typeof PROVIDERS)[];

/** Options of providers that are code. */
const NOT_IN_FILES: readonly string[] = ["fetch", "clock"];

/** The keys of a configuration that say where clients reach the server. */
export type Reach = Pick<Config, "publicUrl" | "host" | "port" | "path">;

/** Returns the URL without a path at which clients reach the server, in the one spelling that URLs have. */
export function baseOf({ publicUrl, host = "127.0.0.1", port = 8_000 }: Reach): string {
  return new URL(publicUrl ?? endpointUrl(host, port, "")).origin;
}

/**
 * Creates the provider of a configuration.
 *
 * @throws {TypeError} If an option of it is missing, unknown, or has the wrong type
 */
export function providerOf({ provider, allow, allowInsecure }: SignInConfig): Provider {
  const { type, ...given } = provider;
  for (const name of NOT_IN_FILES) {
    if (Object.hasOwn(given, name)) throw new TypeError(`Leave "${name}" out: it is code`);
  }
  const groups = isObject(allow) && Array.isArray(allow.groups) ? allow.groups : [];
  // What the claims must have that "allow" is about
  const claims = type === "github" && groups.length > 0
    ? { orgs: true, ...groups.some((group) => String(group).includes("/")) && { teams: true } }
    : {};
  const make = PROVIDERS[type] as (options: unknown) => Provider;
  return make({ ...claims, ...allowInsecure !== undefined && { allowInsecure }, ...given });
}

/** Returns why anybody could sign in who has an account anywhere, or `undefined` if that isn't so. */
export function openProvider({ provider }: Pick<SignInConfig, "provider">): string | undefined {
  const { type, hostedDomain, tenant, tenants } = provider;
  if (type === "google") return hostedDomain === undefined ? "everybody at Google" : undefined;
  if (type === "github") return "everybody at GitHub";
  if (type === "auth0") return "everybody who can sign up at Auth0";
  const isOpen = type === "entra" && (tenant === "common" || tenant === "organizations") &&
    tenants === undefined;
  return isOpen ? "everybody at Microsoft" : undefined;
}

/** Returns the rule who may enter. Who is in one of the lists may. */
export function allowOf({ allow, provider }: SignInConfig): SignInOptions["allow"] {
  if (allow === undefined || allow === "everybody") return undefined;
  const { emails = [], domains = [], groups = [] } = allow;
  const known = new Set(emails.map((email) => email.toLowerCase()));
  const ends = new Set(domains.map((domain) => domain.toLowerCase()));
  const places = provider.type === "github" ? ["orgs", "teams"] : ["groups"];
  const allowed = new Set(groups);
  return ({ claims }: ProviderLogin) => {
    const email = typeof claims.email === "string" ? claims.email.toLowerCase() : "";
    const at = email.lastIndexOf("@");
    if (at > 0 && (known.has(email) || ends.has(email.slice(at + 1)))) return true;
    return places.some((place) => {
      const claim = claims[place];
      const given: readonly unknown[] = Array.isArray(claim) ? claim : [claim];
      return given.some((group) => typeof group === "string" && allowed.has(group));
    });
  };
}

/** The options that a configuration gives, without the store and what is called. */
export function signInOptionsOf(config: SignInConfig, reach: Reach): SignInOptions {
  const base = baseOf(reach);
  const { provider: _provider, allow: _allow, registration, documents, ...options } = config;
  const allow = allowOf(config);
  return {
    resource: `${base}${reach.path ?? "/mcp"}`,
    issuer: base,
    scopes: { mcp: `Use ${new URL(base).host}` },
    ...options,
    provider: providerOf(config),
    ...allow !== undefined && { allow },
    // True is what holds anyway
    ...registration !== undefined && registration !== true && { registration },
    ...documents !== undefined && documents !== true && { documents },
  };
}

/** Finds what can't hold in a checked configuration: a sentence, and the path that it is about. */
export function signInProblem(
  config: SignInConfig,
  reach: Reach,
): { readonly path: readonly string[]; readonly message: string } | undefined {
  const { publicUrl, host = "127.0.0.1", port = 8_000, path = "/mcp" } = reach;
  if (publicUrl === undefined && (config.allowInsecure !== true || !isLoopback(host))) {
    const message = "Give the https URL that clients use, without the path: users sign in there. " +
      'On this machine alone, "allowInsecure" of signIn makes it needless';
    return { path: ["publicUrl"], message };
  }
  if (publicUrl === undefined && port === 0) {
    return { path: ["port"], message: "Give a port, or publicUrl: users are sent there" };
  }
  const url = publicUrl === undefined ? undefined : new URL(publicUrl);
  if (url !== undefined && `${url.pathname}${url.search}` !== "/") {
    const message = "Leave the path out: clients look for sign-in at the root of the host";
    return { path: ["publicUrl"], message };
  }
  const everybody = openProvider(config);
  if (everybody !== undefined && config.allow === undefined) {
    const message = `Say who may enter, by emails, domains or groups, or "everybody": ` +
      `${everybody} could`;
    return { path: ["signIn", "allow"], message };
  }
  const made = failureOf(() => providerOf(config));
  if (made !== undefined) return { path: ["signIn", "provider"], message: made };
  let paths: readonly string[] = [];
  const message = failureOf(() => {
    const { paths: own } = signIn({ ...signInOptionsOf(config, reach), store: undefined });
    paths = own;
  });
  if (message !== undefined) return { path: ["signIn"], message };
  const taken = paths.find((own) =>
    own === path || own === "/health" || own.startsWith("/servers/")
  );
  if (/^\/accounts(?:\/|$)/.test(path)) {
    return { path: ["path"], message: "Give another path: users' accounts are at /accounts" };
  }
  if (taken === undefined) return undefined;
  return { path: ["path"], message: `Give another path: sign-in is at ${taken}` };
}

function failureOf(make: () => unknown): string | undefined {
  try {
    make();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
