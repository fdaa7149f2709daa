/**
 * Reads what every request of the 2026 era says about its client in `_meta` (2026-07-28, Basic,
 * `_meta`).
 *
 * @module
 */
import type { ClientFacts } from "./exchange.ts";
import { isObject, type JsonObject } from "./jsonrpc.ts";
import {
  type ClientCapabilities,
  type Implementation,
  isLogLevel,
  LOG_LEVELS,
  type LogLevel,
} from "./shapes.ts";

const PREFIX = "io.modelcontextprotocol/";

/** The keys of `_meta` that the protocol reserves. */
export const MetaKey = {
  ProtocolVersion: `${PREFIX}protocolVersion`,
  ClientInfo: `${PREFIX}clientInfo`,
  ClientCapabilities: `${PREFIX}clientCapabilities`,
  LogLevel: `${PREFIX}logLevel`,
  ServerInfo: `${PREFIX}serverInfo`,
  SubscriptionId: `${PREFIX}subscriptionId`,
} as const;

/** What a request says about its client. */
export interface Envelope {
  /** The version that the request names, whether the endpoint serves it or not. */
  readonly version: string;
  readonly client: ClientFacts;
  /** The least severe log level that the client wants; `undefined` for no log messages. */
  readonly logLevel: LogLevel | undefined;
}

/**
 * Returns the protocol version that a request names in `_meta`, if any: naming one makes it a
 * request of the 2026 era.
 */
export function envelopeVersion(params: JsonObject | undefined): unknown {
  const meta = params?._meta;
  return isObject(meta) ? meta[MetaKey.ProtocolVersion] : undefined;
}

/**
 * Reads the envelope.
 *
 * @returns The envelope, or a message that says how to correct the request
 */
export function readEnvelope(params: JsonObject | undefined): Envelope | string {
  const meta = params?._meta;
  if (!isObject(meta)) return 'Give an object as "params._meta"';
  const version = meta[MetaKey.ProtocolVersion];
  const info = meta[MetaKey.ClientInfo];
  const capabilities = meta[MetaKey.ClientCapabilities];
  const level = meta[MetaKey.LogLevel];
  if (typeof version !== "string") return `Give a string as "_meta.${MetaKey.ProtocolVersion}"`;
  if (!isObject(capabilities)) return `Give an object as "_meta.${MetaKey.ClientCapabilities}"`;
  if (info !== undefined && !isImplementation(info)) {
    return `Give a name and a version as "_meta.${MetaKey.ClientInfo}"`;
  }
  if (level !== undefined && !isLogLevel(level)) {
    return `Give one of ${LOG_LEVELS.join(", ")} as "_meta.${MetaKey.LogLevel}"`;
  }
  // Capabilities are only ever looked up by name.
  return {
    version,
    client: { info, capabilities: capabilities as ClientCapabilities },
    logLevel: level,
  };
}

function isImplementation(value: unknown): value is Implementation {
  return isObject(value) && typeof value.name === "string" && typeof value.version === "string";
}
