/**
 * Issues access tokens for Identity Assertion JWT Authorization Grants, in place of a login: RFC 7523,
 * draft-ietf-oauth-identity-assertion-authz-grant-04 §4.4, and MCP's enterprise-managed authorization (SEP-990).
 *
 * @module
 */
import type { Principal } from "../../../mod.ts";
import { type Authenticate, jwt, Unauthorized, Unavailable } from "../../auth/mod.ts";
import { checkNames, type NamesOf, randomText, type VerifiedProof } from "../../kit.ts";
import { stringOption } from "../fetch/options.ts";
import type { GrantTable, StoredGrant } from "../grants/grants.ts";
import { OAuthError, parameter, required } from "../http.ts";
import type { Keyring } from "../keyring.ts";
import { withVerifiedEmail } from "../providers/verified_email.ts";
import type { ProviderLogin } from "../providers/types.ts";
import { isSameResource, type SignInSettings } from "../settings.ts";
import type { AccessTokens } from "../tokens/access_tokens.ts";
import { identify } from "../user.ts";
import {
  authenticateClient,
  type CheckedClient,
  checkedClient,
  type ClientMethod,
} from "./client_authentication.ts";
import { bearerRequest, claimOnce, isShortLived, keyOptions, unverified } from "./jwts.ts";
import type { IdJagProvider } from "./types.ts";

/** The grant type (RFC 7523 §2.1). */
export const JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/** The profile of it, for the metadata (§7.2 of the draft). */
export const ID_JAG_PROFILE = "urn:ietf:params:oauth:grant-profile:id-jag";

/** The most characters of an assertion. */
const MOST_CHARS = 12_000;
/** The most tries of a change that another node made first. */
const MOST_TRIES = 10;
/** How long a grant is kept after its last access token has expired, in milliseconds. */
const KEPT_MS = 60_000;

const NAMES: NamesOf<IdJagProvider> = {
  issuer: true,
  jwks: true,
  jwksUri: true,
  algorithms: true,
  clients: true,
};

/** The answer to a request with an ID-JAG. There is no refresh token: the next ID-JAG is the provider's word. */
export interface IdJagAnswer {
  readonly access_token: string;
  readonly token_type: "Bearer" | "DPoP";
  readonly expires_in: number;
  readonly scope: string;
}

/** A provider whose options are checked. */
interface TrustedProvider {
  readonly verify: Authenticate;
  readonly clients: ReadonlyMap<string, CheckedClient>;
}

/** What {@linkcode IdJags} needs. */
export interface IdJagsInit {
  readonly settings: SignInSettings;
  readonly keyring: Keyring;
  readonly grants: GrantTable;
  readonly access: AccessTokens;
}

/** Takes ID-JAGs. */
export class IdJags {
  /** How its clients prove themselves. */
  readonly methods: readonly ClientMethod[];
  readonly #init: IdJagsInit;
  readonly #providers: ReadonlyMap<string, TrustedProvider>;

  /** @throws {TypeError} If an option has the wrong type */
  constructor(providers: readonly IdJagProvider[], init: IdJagsInit) {
    this.#init = init;
    this.#providers = checkedProviders(providers, init.settings);
    this.methods = [
      ...new Set(
        [...this.#providers.values()].flatMap(({ clients }) =>
          [...clients.values()].flatMap(({ methods }) => methods)
        ),
      ),
    ];
  }

  /**
   * Answers a token request with an ID-JAG.
   *
   * @param proof The proof of the key that the token is bound to
   *
   * @throws {OAuthError} If it is refused, or can't be checked now
   */
  async token(
    form: URLSearchParams,
    headers: Headers,
    proof?: VerifiedProof,
  ): Promise<IdJagAnswer> {
    const { settings, access } = this.#init;
    const assertion = required(form, "assertion", MOST_CHARS);
    const issuer = unverified(assertion).iss;
    const provider = typeof issuer === "string" ? this.#providers.get(issuer) : undefined;
    if (provider === undefined) throw this.#refuse("issuer-unknown");
    try {
      const client = await authenticateClient(provider.clients, { form, headers }, settings);
      const verified = await this.#verified(provider, assertion, client);
      const { grant, scopes } = await this.#granted(verified, client, form);
      if (proof !== undefined) await settings.proofs?.spend(proof);
      const { token, seconds } = await access.issue(grant, scopes, proof?.thumbprint);
      settings.report({
        ...{ step: "token", outcome: "passed", reason: "issued-for-id-jag" },
        ...{ client: client.id, user: grant.user.id, grant: grant.id },
      });
      const scope = scopes.join(" ");
      const type = proof === undefined ? "Bearer" : "DPoP";
      return { access_token: token, token_type: type, expires_in: seconds, scope };
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      throw new OAuthError("temporarily_unavailable", "The keys can't be read now", 503, 5);
    }
  }

  /** Verifies an assertion, and that it is for this server and client. */
  async #verified(
    { verify }: TrustedProvider,
    assertion: string,
    client: CheckedClient,
  ): Promise<Principal> {
    let principal: Principal;
    try {
      principal = await verify(bearerRequest(assertion));
    } catch (error) {
      if (!(error instanceof Unauthorized)) throw error;
      throw this.#refuse("assertion-invalid", client);
    }
    const { aud, client_id: named } = principal.claims ?? {};
    if (Array.isArray(aud) && aud.length !== 1) throw this.#refuse("audience-not-alone", client);
    if (named !== client.id) throw this.#refuse("assertion-of-another-client", client);
    if (!isShortLived(principal, this.#init.settings.clock)) {
      throw this.#refuse("assertion-lives-too-long", client);
    }
    return principal;
  }

  /** Returns the grant of a user and client, and the scopes of this token. */
  async #granted(
    assertion: Principal,
    client: CheckedClient,
    form: URLSearchParams,
  ): Promise<{ readonly grant: StoredGrant; readonly scopes: readonly string[] }> {
    const { settings } = this.#init;
    const claims = withVerifiedEmail({ ...assertion.claims });
    const resource = this.#resourceOf(claims.resource, form, client);
    const login: ProviderLogin = {
      claims,
      subject: assertion.id,
      issuer: assertion.issuer ?? "",
    };
    const user = await identify(settings, login);
    if (user === undefined) throw this.#refuse("not-allowed", client);
    const scopes = this.#scopesOf(claims.scope, form, client)
      .filter((scope) => user.scopes.includes(scope));
    if (scopes.length === 0) {
      throw new OAuthError("invalid_scope", "Ask for scopes that the user may have");
    }
    if (!await claimOnce(settings.records, assertion, settings.clock)) {
      throw this.#refuse("assertion-used", client);
    }
    const issuedAt = Number(claims.iat) * 1000;
    return { grant: await this.#grant({ user, client, resource, scopes, issuedAt }), scopes };
  }

  /** Finds the resource that a token is for. */
  #resourceOf(claim: unknown, form: URLSearchParams, client: CheckedClient): string {
    const { resources, resourceNamed, otherResources } = this.#init.settings;
    const asked = parameter(form, "resource");
    const isOnly = resources.length === 1 && otherResources === undefined;
    const named: readonly unknown[] = claim === undefined
      ? isOnly ? resources : []
      : Array.isArray(claim)
      ? claim
      : [claim];
    const found = named.flatMap((each) =>
      (typeof each === "string" ? resourceNamed(each) : undefined) ?? []
    );
    const fitting = [...new Set(found)].filter((each) => isSameResource(each, asked));
    const [resource, ...others] = fitting;
    if (resource === undefined || others.length > 0) throw this.#refuse("resource-differs", client);
    return resource;
  }

  /** Finds the scopes: those of the assertion, which must be among those that are asked for. */
  #scopesOf(claim: unknown, form: URLSearchParams, client: CheckedClient): readonly string[] {
    const { descriptions, firstScopes } = this.#init.settings;
    const wanted = parameter(form, "scope")?.split(" ").filter((scope) => scope !== "");
    const named = typeof claim === "string" ? claim.split(" ").filter((scope) => scope !== "") : [];
    if (
      claim !== undefined && typeof claim !== "string" ||
      named.some((scope) => !descriptions.has(scope))
    ) {
      throw this.#refuse("scope-unknown", client);
    }
    if (named.length === 0) {
      return firstScopes.filter((scope) => wanted?.includes(scope) ?? true);
    }
    if (wanted !== undefined && !named.every((scope) => wanted.includes(scope))) {
      throw new OAuthError("invalid_scope", "Ask for all scopes of the assertion, or for none");
    }
    return named;
  }

  /** Stores the grant of a user, a client and a resource, or begins it anew. */
  async #grant(
    { user, client, resource, scopes, issuedAt }: {
      readonly user: { readonly id: string; readonly issuer: string; readonly name: string };
      readonly client: CheckedClient;
      readonly resource: string;
      readonly scopes: readonly string[];
      readonly issuedAt: number;
    },
  ): Promise<StoredGrant> {
    const { grants, keyring, settings: { records, clock, lifetimes } } = this.#init;
    const owner = await grants.userName(user);
    // Which grant is the current one: an id that has ended is never used again
    const current = `id-jag:${owner}.${await keyring.nameOf("id-jag", client.id, resource)}`;
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const now = clock.now();
      const id = (await records.get(current))?.value;
      const found = id === undefined ? undefined : await grants.find(id);
      if (found?.value.ended !== undefined) throw this.#refuse("grant-ended", client);
      const grant: StoredGrant = {
        id: found?.value.id ?? await grants.newId(user),
        user: { id: user.id, issuer: user.issuer, name: user.name },
        client: { id: client.id, kind: "configured", name: client.name },
        ...{ resource, scopes, since: now, lastUsed: now },
        // There is no refresh token, so nothing is kept for long after the access token
        ...{ secret: randomText(43), turn: 0, uses: [], consent: "" },
        until: now + lifetimes.accessMs + KEPT_MS,
      };
      if (found === undefined) {
        const created = await grants.create(grant, issuedAt);
        if (created === "consent-forgotten") throw this.#refuse("user-ended", client);
        if (created !== "created") continue;
      } else if (await grants.replace(grant, found.version) === undefined) {
        continue;
      }
      await records.put(current, grant.id, { ttlMs: lifetimes.accessMs + KEPT_MS });
      return grant;
    }
    throw new OAuthError("temporarily_unavailable", "Try again", 503, 1);
  }

  #refuse(reason: string, client?: CheckedClient): OAuthError {
    const known = client === undefined ? {} : { client: client.id };
    this.#init.settings.report({ step: "token", outcome: "refused", reason, ...known });
    return new OAuthError(
      "invalid_grant",
      "Send an ID-JAG that is new, for this server, and yours",
    );
  }
}

function checkedProviders(
  given: readonly IdJagProvider[],
  settings: SignInSettings,
): ReadonlyMap<string, TrustedProvider> {
  if (!Array.isArray(given) || given.length === 0) {
    throw new TypeError('Give a list of providers as "idJag", or leave it out');
  }
  const providers = new Map<string, TrustedProvider>();
  for (const one of given) {
    checkNames<IdJagProvider>("signIn()", one, NAMES, "idJag.");
    const { clients, jwks, jwksUri, algorithms } = one;
    const issuer = stringOption("idJag.issuer", one.issuer);
    if (issuer === settings.issuer) {
      // A server must not widen what it has issued itself (§9.3 of the draft)
      throw new TypeError('Give another issuer than the own one as "idJag.issuer"');
    }
    if (providers.has(issuer)) throw new TypeError(`Give each issuer of "idJag" once: ${issuer}`);
    if (!Array.isArray(clients) || clients.length === 0) {
      throw new TypeError(`Give one client or more as "idJag.clients": ${issuer}`);
    }
    const verify = jwt({
      ...{ issuer, audience: settings.issuer, typ: "oauth-id-jag+jwt" },
      ...keyOptions({ ...jwks && { jwks }, ...jwksUri !== undefined && { jwksUri } }, settings),
      ...algorithms !== undefined && { algorithms },
    });
    const checked = clients.map((client) => checkedClient(client, settings));
    const byId = new Map(checked.map((client) => [client.id, client]));
    if (byId.size !== checked.length) {
      throw new TypeError(`Give each client of "idJag.clients" its own id: ${issuer}`);
    }
    providers.set(issuer, { verify, clients: byId });
  }
  return providers;
}
