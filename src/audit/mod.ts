/**
 * Keeps an audit trail: one line of JSON for each act that matters for security.
 *
 * @module
 */
export { audit } from "./audit.ts";
export { hashedAddresses, hashedPrincipals } from "./principal_hash.ts";
export type { HashedPrincipalsOptions } from "./principal_hash.ts";
export type { Principal } from "../protocol/exchange.ts";
export type { JsonObject } from "../protocol/jsonrpc.ts";
export type { AuditNote, AuditOptions, AuditStats, AuditTrail, OperatorAct } from "./types.ts";
export type { Clock } from "../internal/clock.ts";
export type { MaybePromise } from "../internal/types.ts";
