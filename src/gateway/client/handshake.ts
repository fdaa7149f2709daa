/**
 * Detects the era of an upstream, negotiates a version, and reads the upstream's facts.
 *
 * The 2026 era is tried first. Any error that isn't specific to that era means that the upstream
 * speaks the 2025 era, and so does a missing answer (2026-07-28, Versioning and Compatibility).
 *
 * @module
 */
import { MetaKey } from "../../protocol/envelope.ts";
import { ErrorCode, McpError } from "../../protocol/errors.ts";
import { isObject, type JsonObject } from "../../protocol/jsonrpc.ts";
import type { Implementation } from "../../protocol/shapes.ts";
import {
  type Era,
  isModern,
  isVersion,
  type ProtocolVersion,
  VERSIONS,
} from "../../protocol/versions.ts";
import { abortable, deadline } from "../shared/deadline.ts";
import { UpstreamError } from "../shared/upstream_error.ts";
import type { OpenInit, UpstreamCall, UpstreamFacts } from "../types.ts";
import type { Connection } from "./connection.ts";

/** Options for {@linkcode handshake}. */
export interface HandshakeOptions {
  /** Lists the acceptable versions, newest first. */
  readonly versions: readonly ProtocolVersion[];
  /** Limits the wait for an answer in the 2026 era before falling back to 2025, in milliseconds. */
  readonly probeTimeoutMs: number;
  /** Takes the negotiated version before anything else is sent. */
  readonly onVersion?: (version: ProtocolVersion) => void;
}

/** Lists the errors that only a server of the 2026 era sends (2026-07-28, Basic, Error Codes). */
const MODERN_ERRORS: ReadonlySet<number> = new Set([
  ErrorCode.HeaderMismatch,
  ErrorCode.MissingClientCapability,
  ErrorCode.UnsupportedVersion,
]);

/** Stands in for the name and version of a client that didn't send them. */
const UNNAMED_CLIENT: Implementation = { name: "mooring-gateway", version: "1.0.0" };

/**
 * Performs the handshake with an upstream.
 *
 * @throws {UpstreamError} If it rejects the session, or no version is acceptable to both sides
 * @throws {AbortSignal["reason"]} If `init.signal` aborts
 */
export async function handshake(
  connection: Connection,
  init: OpenInit,
  options: HandshakeOptions,
): Promise<UpstreamFacts> {
  try {
    const facts = newestOf("2026", options.versions) === undefined
      ? undefined
      : await discover(connection, init, options);
    return facts ?? await initialize(connection, init, options);
  } catch (error) {
    if (!(error instanceof McpError)) throw error;
    throw new UpstreamError("rejected", { detail: `error ${error.code}` });
  }
}

/** Returns what every request of the 2026 era says about its client. */
export function clientMeta({ client }: OpenInit, version: ProtocolVersion): JsonObject {
  return {
    [MetaKey.ProtocolVersion]: version,
    [MetaKey.ClientInfo]: client.info ?? UNNAMED_CLIENT,
    [MetaKey.ClientCapabilities]: client.capabilities,
  };
}

/** Creates a request that the gateway itself makes, for the HTTP request that opens the session. */
export function ownCall(
  { request, downstream }: Pick<OpenInit, "request" | "downstream">,
  method: string,
  params: JsonObject,
  signal: AbortSignal,
): UpstreamCall {
  return {
    method,
    params,
    signal,
    request,
    notify: (notification) => downstream.notified(notification),
    ask: (method, params) => downstream.ask(method, params, signal),
  };
}

/** Reads the facts of a server of the 2026 era; `undefined` for one of the 2025 era. */
async function discover(
  connection: Connection,
  init: OpenInit,
  { versions, probeTimeoutMs, onVersion }: HandshakeOptions,
): Promise<UpstreamFacts | undefined> {
  const version = newestOf("2026", versions) ?? "2026-07-28";
  const mayFallBack = newestOf("2025", versions) !== undefined;
  const { signal, clear } = deadline(init.clock, probeTimeoutMs, init.signal);
  try {
    const params = { _meta: clientMeta(init, version) };
    const result = await connection.request(ownCall(init, "server/discover", params, signal));
    const { supportedVersions: supported } = result;
    if (!Array.isArray(supported)) return mayFallBack ? undefined : throwNoVersion();
    if (!supported.includes(version)) return fallBack(supported, versions);
    onVersion?.(version);
    const info = isObject(result._meta) ? result._meta[MetaKey.ServerInfo] : undefined;
    return factsOf(version, info, result);
  } catch (error) {
    init.signal.throwIfAborted();
    if (error === signal.reason && mayFallBack) return undefined;
    if (!(error instanceof McpError)) throw error;
    if (MODERN_ERRORS.has(error.code)) {
      if (error.code !== ErrorCode.UnsupportedVersion) throw error;
      const supported = isObject(error.data) ? error.data.supported : undefined;
      return fallBack(Array.isArray(supported) ? supported : [], versions);
    }
    if (mayFallBack) return undefined;
    throw error;
  } finally {
    clear();
  }
}

/** Falls back to the 2025 era, if both sides accept a version of it. */
function fallBack(supported: readonly unknown[], versions: readonly ProtocolVersion[]): undefined {
  if (versions.some((each) => !isModern(each) && supported.includes(each))) return undefined;
  throwNoVersion();
}

async function initialize(
  connection: Connection,
  init: OpenInit,
  { versions, onVersion }: HandshakeOptions,
): Promise<UpstreamFacts> {
  const params = {
    protocolVersion: newestOf("2025", versions) ?? throwNoVersion(),
    capabilities: init.client.capabilities,
    clientInfo: init.client.info ?? UNNAMED_CLIENT,
  };
  const result = await connection.request(ownCall(init, "initialize", params, init.signal));
  const { protocolVersion, serverInfo } = result;
  if (!isVersion(protocolVersion) || !versions.includes(protocolVersion)) throwNoVersion();
  if (isModern(protocolVersion)) throwNoVersion();
  onVersion?.(protocolVersion);
  await abortable(connection.notify({ method: "notifications/initialized" }), init.signal);
  return factsOf(protocolVersion, serverInfo, result);
}

function factsOf(
  protocolVersion: ProtocolVersion,
  info: unknown,
  { capabilities, instructions }: JsonObject,
): UpstreamFacts {
  const { name, version } = isObject(info) ? info : {};
  const serverInfo = {
    ...isObject(info) ? info : {},
    name: typeof name === "string" ? name : "unnamed",
    version: typeof version === "string" ? version : "0",
  };
  return {
    serverInfo,
    capabilities: isObject(capabilities) ? capabilities : {},
    protocolVersion,
    ...typeof instructions === "string" && { instructions },
  };
}

function newestOf(era: Era, versions: readonly ProtocolVersion[]): ProtocolVersion | undefined {
  return versions.find((version) => VERSIONS[version].era === era);
}

function throwNoVersion(): never {
  throw new UpstreamError("protocol", { detail: "no common version of MCP" });
}
