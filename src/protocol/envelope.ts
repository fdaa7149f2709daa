/**
 * What every request of the 2026 era says of its client in `_meta` (2026-07-28, Basic, `_meta`).
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

/** What a request says of its client. */
export interface Envelope {
  /** The version that the request names, whether it is served or not. */
  readonly version: string;
  readonly client: ClientFacts;
  /** The least severe level of log message that the client wants; none when it names none. */
  readonly logLevel: LogLevel | undefined;
}

/** The version that a request's parameters name, if they name one: what makes it a 2026 request. */
export function envelopeVersion(params: JsonObject | undefined): unknown {
  const meta = params?._meta;
  return isObject(meta) ? meta[MetaKey.ProtocolVersion] : undefined;
}

/** Reads the envelope, or says what is wrong with it. */
export function readEnvelope(params: JsonObject | undefined): Envelope | string {
  const meta = params?._meta;
  if (!isObject(meta)) return 'Give an object as "params._meta"';
  const version = meta[MetaKey.ProtocolVersion];
  const info = meta[MetaKey.ClientInfo];
  const capabilities = meta[MetaKey.ClientCapabilities];
  const level = meta[MetaKey.LogLevel];
  if (typeof version !== "string") return `Give a text as "_meta.${MetaKey.ProtocolVersion}"`;
  if (!isObject(capabilities)) return `Give an object as "_meta.${MetaKey.ClientCapabilities}"`;
  if (info !== undefined && !isImplementation(info)) {
    return `Give a name and a version as "_meta.${MetaKey.ClientInfo}"`;
  }
  if (level !== undefined && !isLogLevel(level)) {
    return `Give one of ${LOG_LEVELS.join(", ")} as "_meta.${MetaKey.LogLevel}"`;
  }
  // What the client says it can do is only ever looked up by name.
  return {
    version,
    client: { info, capabilities: capabilities as ClientCapabilities },
    logLevel: level,
  };
}

function isImplementation(value: unknown): value is Implementation {
  return isObject(value) && typeof value.name === "string" && typeof value.version === "string";
}
