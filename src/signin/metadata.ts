/**
 * Describes the authorization server (RFC 8414, OpenID Connect Discovery).
 *
 * @module
 */
import type { JsonObject } from "../../mod.ts";
import { DPOP_ALGORITHMS } from "../kit.ts";
import type { SignInSettings } from "./settings.ts";

/** Returns the metadata. */
export function metadataOf(
  { issuer, descriptions, resources, documents, proofs }: SignInSettings,
  registers: boolean,
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
    grant_types_supported: ["authorization_code", "refresh_token"],
    token_endpoint_auth_methods_supported: ["none"],
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
