/**
 * Describes the authorization server (RFC 8414, OpenID Connect Discovery).
 *
 * @module
 */
import type { JsonObject } from "../../mod.ts";
import { DPOP_ALGORITHMS } from "../kit.ts";
import type { ClientMethod } from "./assertions/client_authentication.ts";
import { ID_JAG_PROFILE, JWT_BEARER } from "./assertions/id_jags.ts";
import type { SignInSettings } from "./settings.ts";

/** The algorithms of `private_key_jwt`: those of `jwt()`. */
const ASSERTION_ALGORITHMS = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
];

/**
 * Returns the metadata.
 *
 * @param assertionMethods How clients that present assertions prove themselves, if any may
 */
export function metadataOf(
  { issuer, descriptions, resources, documents, proofs }: SignInSettings,
  registers: boolean,
  assertionMethods: readonly ClientMethod[] | undefined,
): JsonObject {
  return {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    revocation_endpoint: `${issuer}/revoke`,
    ...registers && { registration_endpoint: `${issuer}/register` },
    jwks_uri: `${issuer}/jwks`,
    scopes_supported: [...descriptions.keys()],
    response_types_supported: ["code"],
    response_modes_supported: ["query"],
    grant_types_supported: [
      ...["authorization_code", "refresh_token"],
      ...assertionMethods === undefined ? [] : [JWT_BEARER],
    ],
    ...assertionMethods !== undefined && {
      authorization_grant_profiles_supported: [ID_JAG_PROFILE],
    },
    token_endpoint_auth_methods_supported: [...new Set(["none", ...assertionMethods ?? []])],
    ...assertionMethods?.includes("private_key_jwt") && {
      token_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
    },
    revocation_endpoint_auth_methods_supported: ["none"],
    code_challenge_methods_supported: ["S256"],
    authorization_response_iss_parameter_supported: true,
    client_id_metadata_document_supported: documents !== false,
    ...proofs !== undefined && { dpop_signing_alg_values_supported: DPOP_ALGORITHMS },
    protected_resources: [...resources],
    // What OpenID Connect Discovery wants of a document; no ID token is issued
    subject_types_supported: ["public"],
    id_token_signing_alg_values_supported: ["ES256"],
  };
}

/** Returns the paths at which clients look for it: root, before and after the issuer's and the resources' paths. */
export function metadataPaths({ basePath, resources }: SignInSettings): ReadonlySet<string> {
  const names = ["oauth-authorization-server", "openid-configuration"];
  const tails = ["", basePath, ...resources.map((resource) => new URL(resource).pathname)];
  return new Set(names.flatMap((name) => [
    ...tails.map((tail) => `/.well-known/${name}${tail === "/" ? "" : tail}`),
    `${basePath}/.well-known/${name}`,
  ]));
}
