/**
 * OpenID providers that need something of their own.
 *
 * @module
 */
import { stringOption, stringsOption } from "../fetch/options.ts";
import { HTTP_NAMES, type ProviderHttpOptions, urlOption } from "./http.ts";
import { type OidcOptions, type OidcQuirks, oidcWith } from "./oidc.ts";
import { type Provider, ProviderError } from "./types.ts";
import { checkNames, type NamesOf } from "../../kit.ts";

/** What all presets have in common: what the provider gave this application. */
export interface PresetOptions extends ProviderHttpOptions {
  /** The id that the provider gave this application. */
  readonly clientId: string;
  /** The secret that the provider gave this application. */
  readonly clientSecret: string;
  /** The name to show to users. @default the provider's */
  readonly name?: string;
  /** The scopes to ask for, besides `openid`. @default email, profile */
  readonly scopes?: readonly string[];
}

const NAMES: NamesOf<PresetOptions> = {
  clientId: true,
  clientSecret: true,
  name: true,
  scopes: true,
  ...HTTP_NAMES,
};

/** Takes the preset's own names out of the options, and checks the others. */
function preset<T extends PresetOptions>(
  what: string,
  options: T,
  own: Omit<NamesOf<T>, keyof PresetOptions>,
  issuer: (options: T) => string,
  defaults: Omit<Partial<OidcOptions>, "issuer">,
  quirks: OidcQuirks,
): Provider {
  // Together they are all names of T: the compiler can't add types up.
  checkNames(what, options, { ...NAMES, ...own } as unknown as NamesOf<T>);
  stringOption("clientSecret", options.clientSecret);
  const common = Object.fromEntries(
    Object.entries(options).filter(([name, value]) =>
      Object.hasOwn(NAMES, name) && value !== undefined
    ),
  );
  const all = { ...defaults, ...common, issuer: issuer(options) };
  // `stringOption` of the two above is repeated there.
  return oidcWith(what, all as OidcOptions, quirks);
}

/** Options for {@linkcode google}. */
export interface GoogleOptions extends PresetOptions {
  /** The domain of Google Workspace or Cloud Identity that users must be of. @default any user */
  readonly hostedDomain?: string;
}

/**
 * Makes the provider of Google accounts. Google gives a refresh token for `access_type=offline`, and again
 * for `prompt=consent` alone, so both are sent.
 *
 * ```ts
 * import { google } from "@mooring/mcp/signin";
 *
 * const provider = google({ clientId: "….apps.googleusercontent.com", clientSecret: "GOCSPX-…" });
 * ```
 *
 * @throws {TypeError} If an option has the wrong type, or is unknown
 */
export function google(options: GoogleOptions): Provider {
  const { hostedDomain } = options;
  if (hostedDomain !== undefined) stringOption("hostedDomain", hostedDomain);
  const parameters = {
    access_type: "offline",
    prompt: "consent",
    ...(hostedDomain === undefined ? {} : { hd: hostedDomain }),
  };
  const issuer = () => "https://accounts.google.com";
  return preset(
    "google()",
    options,
    { hostedDomain: true },
    issuer,
    { name: "Google", parameters },
    {
      refreshScope: { scope: undefined },
      promptAnew: "select_account consent",
      claims(claims) {
        // The parameter is a hint that the user can change: the claim decides.
        if (hostedDomain === undefined || claims.hd === hostedDomain) return claims;
        throw new ProviderError("denied", "The user is not of the hosted domain");
      },
    },
  );
}

/** Options for {@linkcode entra}. */
export interface EntraOptions extends PresetOptions {
  /**
   * The directory (tenant) id: a GUID. Or `"organizations"`, for all work and school accounts, or
   * `"common"`, for personal ones too.
   */
  readonly tenant: string;
  /** The ids of the tenants that may enter, with `"organizations"` and `"common"`. @default all */
  readonly tenants?: readonly string[];
}

const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const ENTRA = "https://login.microsoftonline.com";

/**
 * Makes the provider of Microsoft Entra ID. With many tenants, each token must have the issuer of its own
 * tenant, and `email` is the claim `unverified_email` unless Entra says that its domain is verified
 * (`xms_edov`): the administrator of any tenant can write any address there.
 *
 * ```ts
 * import { entra } from "@mooring/mcp/signin";
 *
 * const provider = entra({
 *   tenant: "8a5f1f0e-0000-4000-8000-000000000000",
 *   clientId: "from the app registration",
 *   clientSecret: "its value",
 * });
 * ```
 *
 * @throws {TypeError} If an option has the wrong type, or is unknown
 */
export function entra(options: EntraOptions): Provider {
  const tenant = stringOption("tenant", options.tenant);
  const many = tenant === "organizations" || tenant === "common";
  const tenants = stringsOption("tenants", options.tenants, []);
  for (const id of many ? tenants : [tenant, ...tenants]) {
    if (!GUID.test(id)) {
      throw new TypeError(`Give a GUID in lower case as the id of a tenant: ${id}`);
    }
  }
  if (!many && tenants.length > 0) {
    throw new TypeError('Remove "tenants", or give "organizations" or "common" as "tenant"');
  }
  const quirks: OidcQuirks = {
    refreshScope: { scope: "offline_access" },
    ...(many ? { issuerFor: (claims) => entraIssuer(claims, tenants), claims: entraClaims } : {}),
  };
  const issuer = () => `${ENTRA}/${tenant}/v2.0`;
  const defaults = { name: "Microsoft", clientAuthentication: "post" as const };
  return preset("entra()", options, { tenant: true, tenants: true }, issuer, defaults, quirks);
}

function entraIssuer(
  { tid }: Readonly<Record<string, unknown>>,
  tenants: readonly string[],
): string | undefined {
  if (typeof tid !== "string" || !GUID.test(tid)) return undefined;
  return tenants.length === 0 || tenants.includes(tid) ? `${ENTRA}/${tid}/v2.0` : undefined;
}

function entraClaims(claims: Record<string, unknown>): Record<string, unknown> {
  const { email, xms_edov: verified, ...others } = claims;
  if (email === undefined || verified === true || verified === 1 || verified === "1") return claims;
  return { ...others, unverified_email: email };
}

/** Options for {@linkcode okta}. */
export interface OktaOptions extends PresetOptions {
  /** The domain of the organization: `example.okta.com`. */
  readonly domain: string;
  /** The id of a custom authorization server, such as `default`. @default the organization's own */
  readonly authorizationServer?: string;
}

/**
 * Makes the provider of an Okta organization. Ask for the scope `groups` too if the claim `groups` is set
 * up there.
 *
 * ```ts
 * import { okta } from "@mooring/mcp/signin";
 *
 * const provider = okta({ domain: "example.okta.com", clientId: "0oa…", clientSecret: "…" });
 * ```
 *
 * @throws {TypeError} If an option has the wrong type, or is unknown
 */
export function okta(options: OktaOptions): Provider {
  const issuer = ({ domain, authorizationServer: server }: OktaOptions) =>
    server === undefined
      ? `https://${domainOption(domain)}`
      : `https://${domainOption(domain)}/oauth2/${segmentOption("authorizationServer", server)}`;
  return preset("okta()", options, { domain: true, authorizationServer: true }, issuer, {
    name: "Okta",
  }, {
    refreshScope: { scope: "offline_access" },
  });
}

/** Options for {@linkcode auth0}. */
export interface Auth0Options extends PresetOptions {
  /** The domain of the tenant, or its custom domain: `example.eu.auth0.com`. */
  readonly domain: string;
}

/**
 * Makes the provider of an Auth0 tenant, whose issuer ends with a slash.
 *
 * ```ts
 * import { auth0 } from "@mooring/mcp/signin";
 *
 * const provider = auth0({ domain: "example.eu.auth0.com", clientId: "…", clientSecret: "…" });
 * ```
 *
 * @throws {TypeError} If an option has the wrong type, or is unknown
 */
export function auth0(options: Auth0Options): Provider {
  const issuer = ({ domain }: Auth0Options) => `https://${domainOption(domain)}/`;
  return preset("auth0()", options, { domain: true }, issuer, {
    name: "Auth0",
    clientAuthentication: "post",
  }, { refreshScope: { scope: "offline_access" } });
}

/** Options for {@linkcode keycloak}. */
export interface KeycloakOptions extends PresetOptions {
  /** The URL of the server, with the path it has, if any: `https://sso.example`. */
  readonly url: string;
  /** The realm. */
  readonly realm: string;
}

/**
 * Makes the provider of a realm of Keycloak. Its refresh tokens end with the user's session there, so that
 * a user who signs out of it is signed out here, too. Ask for the scope `offline_access` for others.
 *
 * ```ts
 * import { keycloak } from "@mooring/mcp/signin";
 *
 * const provider = keycloak({
 *   url: "https://sso.example",
 *   realm: "company",
 *   clientId: "mooring",
 *   clientSecret: "from the tab Credentials",
 * });
 * ```
 *
 * @throws {TypeError} If an option has the wrong type, or is unknown
 */
export function keycloak(options: KeycloakOptions): Provider {
  const issuer = ({ url, realm, allowInsecure }: KeycloakOptions) => {
    const base = urlOption("url", url, allowInsecure).href.replace(/\/$/, "");
    return `${base}/realms/${segmentOption("realm", realm)}`;
  };
  return preset("keycloak()", options, { url: true, realm: true }, issuer, { name: "Keycloak" }, {
    refreshScope: { scope: undefined },
  });
}

function domainOption(value: unknown): string {
  const domain = stringOption("domain", value);
  if (/^[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(domain)) return domain;
  throw new TypeError(`Give a host in lower case alone as "domain": ${domain}`);
}

function segmentOption(name: string, value: unknown): string {
  const text = stringOption(name, value);
  if (/^\.+$/.test(text)) throw new TypeError(`Give a name as "${name}": ${text}`);
  return encodeURIComponent(text);
}
