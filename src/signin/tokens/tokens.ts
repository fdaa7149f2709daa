/**
 * Issues tokens for codes and refresh tokens, each of which is good once, and revokes them.
 *
 * @module
 */
import { randomText, type VerifiedProof } from "../../kit.ts";
import type { Clients } from "../clients/types.ts";
import {
  type FoundGrant,
  type GrantTable,
  isTokenOf,
  readRefreshToken,
  refreshToken,
  type RefreshTokenParts,
  type StoredGrant,
  withNextTurn,
} from "../grants/grants.ts";
import { OAuthError, parameter, required } from "../http.ts";
import type { Keyring } from "../keyring.ts";
import { ProviderError, type ProviderLogin } from "../providers/types.ts";
import { readJson } from "../sealed_records.ts";
import { isSameResource, type SignInSettings } from "../settings.ts";
import { identify } from "../user.ts";
import type { AccessTokens } from "./access_tokens.ts";
import { challengeOf } from "../pkce.ts";

/** The lifetime of a code, in milliseconds. */
export const CODE_MS = 60_000;
/** The time for which a used code is remembered, in milliseconds. */
const USED_CODE_MS = 600_000;
/** The time after which a node that asks the provider is taken for dead, in milliseconds. */
const ASKING_MS = 15_000;
/** The most tries of a change that another node made first. */
const MOST_TRIES = 10;

/** A code, as it is stored. */
interface StoredCode {
  readonly redirectUri: string;
  readonly challenge: string;
  readonly grant: StoredGrant;
  /** The fingerprint of the only key that it may be redeemed with. */
  readonly jkt?: string | undefined;
  /** Whether it may be redeemed with a key alone. */
  readonly needsKey?: boolean | undefined;
  readonly used?: boolean;
}

/** The answer to a token request (RFC 6749 §5.1). */
export interface TokenResponse {
  readonly access_token: string;
  readonly token_type: "Bearer" | "DPoP";
  readonly expires_in: number;
  readonly refresh_token: string;
  readonly scope: string;
}

/** What {@linkcode TokenIssuer} needs. */
export interface TokenIssuerInit {
  readonly settings: SignInSettings;
  readonly keyring: Keyring;
  readonly grants: GrantTable;
  readonly access: AccessTokens;
  readonly clients: Clients;
}

/** Issues and revokes tokens. */
export class TokenIssuer {
  readonly #init: TokenIssuerInit;

  constructor(init: TokenIssuerInit) {
    this.#init = init;
  }

  /** Makes a code for a grant that begins when the code is redeemed. */
  async newCode(code: StoredCode): Promise<string> {
    const { settings } = this.#init;
    const text = randomText(43);
    const write = { ttlMs: CODE_MS, expected: null };
    await settings.records.put(await this.#codeKey(text), JSON.stringify(code), write);
    return text;
  }

  /**
   * Verifies the proof of a token request.
   *
   * @returns The proof; `undefined` if there is none, and none is needed
   * @throws {ProofError} If it can't be used
   */
  async proofOf(request: Request): Promise<VerifiedProof | undefined> {
    const { proofs, issuer } = this.#init.settings;
    const isNeeded = proofs?.use === "require" || request.headers.has("dpop");
    return isNeeded ? await proofs?.verify(request, { addresses: [issuer] }) : undefined;
  }

  /**
   * Answers a token request.
   *
   * @param proof The proof of the key that the tokens are bound to
   */
  async token(form: URLSearchParams, proof?: VerifiedProof): Promise<TokenResponse> {
    const type = required(form, "grant_type");
    const clientId = required(form, "client_id");
    try {
      if (type === "authorization_code") return await this.#redeem(form, clientId, proof);
      if (type === "refresh_token") return await this.#refresh(form, clientId, proof);
    } catch (error) {
      const isGrant = error instanceof OAuthError && error.code === "invalid_grant";
      if (isGrant && !await this.#init.clients.isKnown(clientId)) throw this.#unknownClient();
      throw error;
    }
    throw new OAuthError(
      "unsupported_grant_type",
      'Send "authorization_code" or "refresh_token" as "grant_type"',
    );
  }

  /** Ends the grant of a token, if it is one of the client (RFC 7009 §2.1). */
  async revoke(form: URLSearchParams): Promise<void> {
    const token = required(form, "token", 8_192);
    const clientId = required(form, "client_id");
    const { grants, access, settings } = this.#init;
    const parts = readRefreshToken(token);
    const id = parts === undefined ? await access.grantOf(token) : parts.id;
    const found = id === undefined ? undefined : await grants.find(id);
    if (found === undefined || found.value.ended !== undefined) return;
    if (found.value.client.id !== clientId) return;
    if (parts !== undefined && !isTokenOf(found.value, parts)) return;
    await grants.stop(found.value.id, "revoked");
    settings.report({
      ...{ step: "revoke", outcome: "passed", reason: "revoked" },
      ...{ client: clientId, user: found.value.user.id, grant: found.value.id },
    });
  }

  async #redeem(
    form: URLSearchParams,
    clientId: string,
    proof: VerifiedProof | undefined,
  ): Promise<TokenResponse> {
    const { settings, grants, clients } = this.#init;
    const { records, clock } = settings;
    const text = required(form, "code");
    const redirectUri = parameter(form, "redirect_uri");
    const verifier = parameter(form, "code_verifier") ?? "";
    const resource = parameter(form, "resource");
    const key = await this.#codeKey(text);
    const refuse = (reason: string, client?: string) => {
      const known = client === undefined ? {} : { client };
      settings.report({ step: "token", outcome: "refused", reason, ...known });
      return new OAuthError("invalid_grant", "Send a code that is new, and yours");
    };
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const found = await readJson<StoredCode>(records, key);
      if (found === undefined) throw refuse("code-unknown");
      const { value: code, version } = found;
      if (code.used === true) {
        await grants.stop(code.grant.id, "code-reused");
        throw refuse("code-reused", code.grant.client.id);
      }
      // Used now, whatever is wrong with the rest: a stolen code can't be tried twice
      const used = JSON.stringify({ ...code, used: true });
      const write = { ttlMs: USED_CODE_MS, expected: version };
      if (await records.put(key, used, write) === undefined) continue;
      const { id } = code.grant.client;
      if (id !== clientId) throw refuse("code-of-another-client", id);
      if (code.redirectUri !== redirectUri) throw refuse("redirect-uri-differs", id);
      if (!isSameResource(code.grant.resource, resource)) throw refuse("resource-differs", id);
      if (await challengeOf(verifier) !== code.challenge) throw refuse("code-verifier-wrong", id);
      const jkt = proof?.thumbprint;
      if (code.jkt !== undefined && code.jkt !== jkt) throw refuse("key-differs", id);
      if (code.needsKey === true && jkt === undefined) throw refuse("key-missing", id);
      if (proof !== undefined) await settings.proofs?.spend(proof);
      if (!await clients.renew(id)) throw this.#unknownClient();
      const now = clock.now();
      const grant = { ...code.grant, jkt, since: now, lastUsed: now };
      const created = await grants.create(grant, code.grant.since);
      if (created !== "created") throw refuse(created, id);
      this.#report("token", "issued", grant);
      return await this.#respond(grant, grant.scopes, proof);
    }
    throw busy();
  }

  async #refresh(
    form: URLSearchParams,
    clientId: string,
    proof: VerifiedProof | undefined,
  ): Promise<TokenResponse> {
    const { grants, clients, settings } = this.#init;
    let isSpent = proof === undefined;
    const parts = readRefreshToken(required(form, "refresh_token"));
    const resource = parameter(form, "resource");
    const wanted = parameter(form, "scope")?.split(" ").filter((scope) => scope !== "");
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const found = parts && await grants.find(parts.id);
      if (parts === undefined || found === undefined) throw this.#refuse("refresh-token-unknown");
      const grant = found.value;
      if (grant.ended !== undefined) throw this.#refuse(`grant-ended: ${grant.ended}`);
      if (!isTokenOf(grant, parts) || parts.turn > grant.turn) {
        throw this.#refuse("refresh-token-unknown");
      }
      if (grant.client.id !== clientId) {
        throw this.#refuse("refresh-token-of-another-client", grant);
      }
      if (!isSameResource(grant.resource, resource)) {
        throw new OAuthError("invalid_target", "Send the resource that the token was issued for");
      }
      const scopes = wanted === undefined
        ? grant.scopes
        : grant.scopes.filter((scope) => wanted.includes(scope));
      if (scopes.length === 0) {
        throw new OAuthError("invalid_scope", "Ask for scopes that were granted");
      }
      if (!this.#isInTime(grant, parts)) {
        await grants.stop(grant.id, "refresh-token-reused");
        throw this.#refuse("refresh-token-reused", grant);
      }
      if (grant.jkt !== undefined && grant.jkt !== proof?.thumbprint) {
        throw this.#refuse("refresh-token-of-another-key", grant);
      }
      // Only with a token of ours: strangers' proofs don't fill the memory
      if (proof !== undefined && !isSpent) await settings.proofs?.spend(proof);
      isSpent = true;
      if (!await clients.renew(clientId)) throw this.#unknownClient();
      const renewed = await this.#renew(found, parts, proof?.thumbprint);
      if (renewed === undefined) continue;
      const left = scopes.filter((scope) => renewed.scopes.includes(scope));
      if (left.length === 0) {
        throw new OAuthError("invalid_scope", "Ask for scopes that are allowed");
      }
      const again = parts.turn < grant.turn;
      this.#report("refresh", again ? "issued-again" : "issued", renewed);
      return await this.#respond(renewed, left, proof);
    }
    throw busy();
  }

  /** Tells whether a refresh token is the current one, or was used just now. */
  #isInTime(grant: StoredGrant, { turn }: RefreshTokenParts): boolean {
    const { clock, lifetimes } = this.#init.settings;
    if (turn === grant.turn) return true;
    if (grant.asking !== undefined && turn === grant.turn - 1) return true;
    const usedAt = grant.uses[grant.turn - 1 - turn];
    return usedAt !== undefined && clock.now() - usedAt <= lifetimes.graceMs;
  }

  /**
   * Uses a refresh token: makes the next one the current one, unless that has happened already, and asks
   * the provider whether the user is still there. Until it has answered, the used token stays good.
   *
   * @param jkt The fingerprint of the key that the next one is bound to, if it is
   * @returns The grant, or `undefined` if another node has changed it
   */
  async #renew(
    { value: grant, version }: FoundGrant,
    { turn }: RefreshTokenParts,
    jkt: string | undefined,
  ): Promise<StoredGrant | undefined> {
    const { settings: { provider, clock }, grants } = this.#init;
    const now = clock.now();
    const { credential, asking } = grant;
    const isNew = turn === grant.turn;
    const isBinding = jkt !== grant.jkt;
    // A provider that rotates its own tokens ends a login whose token is used by two at a time
    const isAsked = asking !== undefined && Math.abs(now - asking) < ASKING_MS;
    const asks = provider.refresh !== undefined && credential !== undefined && !isAsked &&
      (isNew || asking !== undefined);
    if (!isNew && !asks && !isBinding) return grant;
    const bound = { ...grant, jkt };
    const next = isNew ? withNextTurn(bound, now) : bound;
    const claimed = asks ? { ...next, asking: now } : next;
    const claim = await grants.replace(claimed, version);
    if (claim === undefined) return undefined;
    return asks ? await this.#ask(claimed, claim, credential) : claimed;
  }

  /** Asks the provider about the user of a grant. */
  async #ask(grant: StoredGrant, version: string, credential: string): Promise<StoredGrant> {
    const { settings, grants } = this.#init;
    let login: ProviderLogin | "ended" | undefined;
    try {
      login = await settings.provider.refresh?.(credential);
    } catch (error) {
      // The next use may ask at once
      await grants.replace({ ...grant, asking: 0 }, version);
      if (!(error instanceof ProviderError)) throw error;
      settings.report({
        ...{ step: "refresh", outcome: "failed", reason: `provider-${error.reason}`, error },
        ...{ client: grant.client.id, user: grant.user.id, grant: grant.id },
      });
      throw new OAuthError(
        "temporarily_unavailable",
        "The identity provider can't be asked now: try again with the same refresh token",
        503,
        5,
      );
    }
    if (login === undefined || login === "ended") {
      await grants.stop(grant.id, "provider-ended");
      throw this.#refuse("provider-ended", grant);
    }
    const user = await identify(settings, login);
    const { id, issuer } = grant.user;
    if (user === undefined || user.id !== id || user.issuer !== issuer) {
      await grants.stop(grant.id, "not-allowed");
      throw this.#refuse("not-allowed", grant);
    }
    return await this.#settle(grant, version, (current) => ({
      ...current,
      asking: undefined,
      credential: login.credential ?? current.credential,
      ...settings.idTokens === true && { idToken: login.idToken ?? current.idToken },
      // Its answer may have taken long: the time for lost answers begins with it
      uses: [settings.clock.now(), ...current.uses.slice(1)],
      scopes: current.scopes.filter((scope) => user.scopes.includes(scope)),
    }));
  }

  /** Writes what the provider said, also if another node has changed the grant meanwhile. */
  async #settle(
    grant: StoredGrant,
    version: string,
    change: (current: StoredGrant) => StoredGrant,
  ): Promise<StoredGrant> {
    const { grants } = this.#init;
    let current: FoundGrant | undefined = { value: grant, version };
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      if (current === undefined || current.value.ended !== undefined) {
        throw this.#refuse("grant-ended", grant);
      }
      const settled = change(current.value);
      if (await grants.replace(settled, current.version) !== undefined) return settled;
      current = await grants.find(grant.id);
    }
    throw busy();
  }

  async #respond(
    grant: StoredGrant,
    scopes: readonly string[],
    proof: VerifiedProof | undefined,
  ): Promise<TokenResponse> {
    const { access } = this.#init;
    const { token, seconds } = await access.issue(grant, scopes, proof?.thumbprint);
    return {
      access_token: token,
      token_type: proof === undefined ? "Bearer" : "DPoP",
      expires_in: seconds,
      refresh_token: refreshToken(grant, grant.turn),
      scope: scopes.join(" "),
    };
  }

  /** Refuses a client that was forgotten or removed: told so, it registers again (RFC 6749 §5.2). */
  #unknownClient(): OAuthError {
    const reason = "client-unknown";
    this.#init.settings.report({ step: "token", outcome: "refused", reason });
    return new OAuthError("invalid_client", "The client is unknown here: register it again", 401);
  }

  #refuse(reason: string, grant?: StoredGrant): OAuthError {
    const { settings } = this.#init;
    const facts = grant && { client: grant.client.id, user: grant.user.id, grant: grant.id };
    settings.report({ step: "refresh", outcome: "refused", reason, ...facts });
    return new OAuthError("invalid_grant", "Send the user to sign in again");
  }

  #report(step: "token" | "refresh", reason: string, { client, user, id }: StoredGrant): void {
    const facts = { client: client.id, user: user.id, grant: id };
    this.#init.settings.report({ step, outcome: "passed", reason, ...facts });
  }

  async #codeKey(code: string): Promise<string> {
    return `code:${await this.#init.keyring.nameOf("code", code)}`;
  }
}

function busy(): OAuthError {
  return new OAuthError("temporarily_unavailable", "Try again", 503, 1);
}
