/**
 * What is trusted in place of a login: identity providers, and the clients that act for their users.
 *
 * @module
 */
import type { JwkSet } from "../../auth/mod.ts";

/**
 * An identity provider whose ID-JAGs are taken in place of a login (enterprise-managed authorization, SEP-990).
 * Either `jwks` or `jwksUri` gives its keys.
 */
export interface IdJagProvider {
  /** Its issuer: the exact `iss` of its ID-JAGs. With the one of `provider`, users are the same as by a login. */
  readonly issuer: string;
  /** Its public keys. */
  readonly jwks?: JwkSet;
  /** The URL of its public keys. */
  readonly jwksUri?: string;
  /** The algorithms that ID-JAGs may be signed with: asymmetric ones alone. @default those of `jwt()` */
  readonly algorithms?: readonly string[];
  /** The clients that may present its ID-JAGs. */
  readonly clients: readonly IdJagClient[];
}

/**
 * A client that presents ID-JAGs. It proves itself by one of `secret`, `jwks` and `jwksUri`, unless it is a
 * public one.
 */
export interface IdJagClient {
  /** The `client_id`, which is that of its ID-JAGs too. */
  readonly id: string;
  /** The name to show to operators. @default the id */
  readonly name?: string;
  /** Its secret: `client_secret_basic`, or `client_secret_post`. */
  readonly secret?: string;
  /** Its public keys, for `private_key_jwt`. */
  readonly jwks?: JwkSet;
  /** The URL of its public keys, for `private_key_jwt`. */
  readonly jwksUri?: string;
  /**
   * Whether it proves itself by nothing: then a stolen ID-JAG can be used by anybody, once.
   *
   * @default false
   */
  readonly isPublic?: boolean;
}
