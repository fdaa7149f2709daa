/**
 * Signs access tokens (RFC 9068), and authenticates requests by them.
 *
 * @module
 */
import type { JWTPayload } from "jose";
import type { Principal } from "../../../mod.ts";
import { type Authenticate, bearer, Unavailable } from "../../auth/mod.ts";
import { BoundedMap, boundTokens, invalidToken, jose, randomText } from "../../kit.ts";
import type { GrantTable, StoredGrant } from "../grants/grants.ts";
import type { Keyring } from "../keyring.ts";
import type { SignInSettings } from "../settings.ts";

/** The most grants whose state a node remembers. */
const MOST_REMEMBERED = 10_000;

/** Access tokens. */
export class AccessTokens {
  readonly #settings: SignInSettings;
  readonly #keyring: Keyring;
  readonly #grants: GrantTable;
  /** When a grant was last seen to be there, by its id; `Infinity` once it has ended. */
  readonly #seen = new BoundedMap<string, number>(MOST_REMEMBERED);

  constructor(settings: SignInSettings, keyring: Keyring, grants: GrantTable) {
    this.#settings = settings;
    this.#keyring = keyring;
    this.#grants = grants;
  }

  /**
   * Signs a token for a grant.
   *
   * @param jkt The fingerprint of the key that it is bound to, if it is
   */
  async issue(
    grant: StoredGrant,
    scopes: readonly string[],
    jkt?: string,
  ): Promise<{ readonly token: string; readonly seconds: number }> {
    const { clock, lifetimes, issuer } = this.#settings;
    const now = Math.floor(clock.now() / 1000);
    const until = Math.floor(
      Math.min(now * 1000 + lifetimes.accessMs, grant.since + lifetimes.grantMs) / 1000,
    );
    const { kid, alg, key } = await this.#keyring.signer();
    const claims = { client_id: grant.client.id, scope: scopes.join(" "), sid: grant.id };
    const idp = grant.user.issuer === issuer ? {} : { idp: grant.user.issuer };
    const cnf = jkt === undefined ? {} : { cnf: { jkt } };
    const token = await new (jose().SignJWT)({ ...claims, ...idp, ...cnf })
      .setProtectedHeader({ alg, kid, typ: "at+jwt" })
      .setIssuer(issuer).setSubject(grant.user.id).setAudience(grant.resource)
      .setJti(randomText(22)).setIssuedAt(now).setExpirationTime(until)
      .sign(key);
    return { token, seconds: Math.max(0, until - now) };
  }

  /** Returns the grant of a valid token, for whatever resource. */
  async grantOf(token: string): Promise<string | undefined> {
    try {
      const { sid, aud } = await this.#verify(token);
      const isOurs = typeof aud === "string" && this.#settings.resourceNamed(aud) !== undefined;
      return isOurs && typeof sid === "string" ? sid : undefined;
    } catch (error) {
      if (error instanceof jose().errors.JOSEError) return undefined;
      throw error;
    }
  }

  /** Forgets at once that a grant was there. */
  onEnded(id: string): void {
    this.#seen.set(id, Infinity);
  }

  /** Returns an `authenticate` for the tokens of one resource. */
  authenticateFor(resource: string): Authenticate {
    const { proofs } = this.#settings;
    const verify = async (token: string): Promise<Principal | undefined> => {
      let claims: JWTPayload;
      try {
        claims = await this.#verify(token, resource);
      } catch (error) {
        if (error instanceof jose().errors.JOSEError) return undefined;
        throw new Unavailable(undefined, { cause: error });
      }
      // Without proofs of its key, a stolen one would work
      if (claims.cnf !== undefined && proofs === undefined) return undefined;
      if (!await this.#isGranted(claims)) {
        throw invalidToken("Sign in again: this access has ended");
      }
      return this.#principalOf(claims);
    };
    if (proofs === undefined) return bearer({ verify });
    return boundTokens({ verify, proofs, addressesOf: () => [resource] });
  }

  async #verify(token: string, audience?: string): Promise<JWTPayload> {
    const { issuer, clock } = this.#settings;
    const { payload } = await jose().jwtVerify(token, async ({ kid }) => {
      const key = await this.#keyring.verifier(kid);
      if (key === undefined) throw new (jose().errors.JWKSNoMatchingKey)();
      return key;
    }, {
      issuer,
      ...audience !== undefined && { audience },
      typ: "at+jwt",
      algorithms: ["ES256"],
      requiredClaims: ["sub", "exp", "aud", "sid", "client_id"],
      currentDate: new Date(clock.now()),
    });
    return payload;
  }

  /** Tells whether the grant of a token is still there, by the store or what it said a moment ago. */
  async #isGranted({ sid }: JWTPayload): Promise<boolean> {
    const { clock, lifetimes } = this.#settings;
    const id = String(sid);
    const seen = this.#seen.get(id);
    if (seen === Infinity) return false;
    const now = clock.now();
    if (seen !== undefined && seen <= now && now < seen + lifetimes.grantCacheMs) return true;
    try {
      const found = await this.#grants.find(id);
      if (found !== undefined && found.value.ended === undefined) {
        this.#seen.set(id, now);
        return true;
      }
    } catch (cause) {
      // While the store is away, who was there is, for as long as the token lasts
      if (seen !== undefined) return true;
      throw new Unavailable(undefined, { cause });
    }
    this.#seen.set(id, Infinity);
    return false;
  }

  #principalOf(claims: JWTPayload): Principal {
    const { sub = "", iss, exp = 0, client_id, scope, idp } = claims;
    return {
      id: sub,
      issuer: typeof idp === "string" ? idp : iss,
      clientId: String(client_id),
      scopes: String(scope).split(" "),
      expiresAt: exp * 1000,
      claims,
    };
  }
}
