/**
 * An issuer of access tokens whose keys tests can see, change and make unreachable.
 *
 * @module
 */
import { type CryptoKey, exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import type { Clock } from "../../src/internal/clock.ts";
import { systemClock } from "../../src/internal/clock.ts";

/** Who issues the tokens of tests. */
export const ISSUER = "https://login.example";
/** Whom they are for. */
export const AUDIENCE = "https://api.example/mcp";

interface Key {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly jwk: JsonObject;
}

/** What a token is to say. Members that are `undefined` are left out. */
export interface Minting {
  readonly claims?: JWTPayload;
  readonly header?: JsonObject;
  /** How long it lasts, in seconds. */
  readonly forS?: number;
}

/** Makes a key pair. */
export async function makeKey(kid: string, alg = "ES256"): Promise<Key> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, privateKey, jwk: { ...await exportJWK(publicKey), kid, alg, use: "sig" } };
}

/** Issues tokens. */
export class Issuer {
  readonly iss: string;
  readonly aud: string;
  readonly clock: Clock;
  /** The keys that are published, the signing one first. */
  keys: Key[] = [];
  #made = 0;

  constructor(init: { readonly iss?: string; readonly aud?: string; readonly clock?: Clock } = {}) {
    this.iss = init.iss ?? ISSUER;
    this.aud = init.aud ?? AUDIENCE;
    this.clock = init.clock ?? systemClock;
  }

  /** An issuer with one key. */
  static async make(...init: ConstructorParameters<typeof Issuer>): Promise<Issuer> {
    const issuer = new Issuer(...init);
    await issuer.rotate();
    return issuer;
  }

  /** Signs with a new key from now on, and publishes only that. */
  async rotate(alg?: string): Promise<void> {
    this.keys = [await makeKey(`key-${++this.#made}`, alg)];
  }

  /** The published keys. */
  get jwks(): { readonly keys: readonly JsonObject[] } {
    return { keys: this.keys.map(({ jwk }) => jwk) };
  }

  /** A token that is good unless it is told otherwise. */
  async mint({ claims = {}, header = {}, forS = 300 }: Minting = {}): Promise<string> {
    const [key] = this.keys;
    if (key === undefined) throw new Error("Make a key first");
    const now = Math.floor(this.clock.now() / 1000);
    const all = { iss: this.iss, aud: this.aud, sub: "ada", iat: now, exp: now + forS, ...claims };
    // What is undefined is left out by JSON
    return await new SignJWT(JSON.parse(JSON.stringify(all)))
      .setProtectedHeader({ alg: String(key.jwk.alg), kid: key.kid, ...header })
      .sign(key.privateKey);
  }
}

/** A request with a token. */
export function withToken(token: string, scheme = "Bearer"): Request {
  return new Request(AUDIENCE, { headers: { authorization: `${scheme} ${token}` } });
}
