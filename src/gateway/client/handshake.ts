/**
 * Detects the era of an upstream, negotiates a version, and reads the upstream's facts.
 *
 * The 2026 era is tried first. Any error that isn't specific to that era means that the upstream
 * speaks the 2025 era, and so does a missing answer (2026-07-28, Versioning and Compatibility).
 *
 * @module
 */
import {
  type Era,
  ErrorCode,
  type Implementation,
  type JsonObject,
  McpError,
  type ProtocolVersion,
} from "../../../mod.ts";
import { isModern, isObject, isVersion, MetaKey, onAbort, VERSIONS } from "../../kit.ts";
import { abortable, withDeadline } from "../shared/deadline.ts";
import { UserAuthError } from "../shared/user_auth_error.ts";
import { UpstreamError } from "../shared/upstream_error.ts";
import type { Caller, Downstream, OpenInit, UpstreamCall, UpstreamFacts } from "../types.ts";
import type { UpstreamConnection } from "./connection.ts";

/** Options for {@linkcode handshake}. */
export interface HandshakeOptions {
  /** The acceptable versions, newest first. */
  readonly versions: readonly ProtocolVersion[];
  /** The longest wait for an answer in the 2026 era before falling back to 2025, in milliseconds. */
  readonly probeTimeoutMs: number;
  /** Takes the negotiated version before anything else is sent. */
  readonly onVersion?: (version: ProtocolVersion) => void;
  /** Called if the upstream was silent in the 2026 era, however the handshake ends. */
  readonly onSilent?: () => void;
}

/** The errors that only a server of the 2026 era sends (2026-07-28, Basic, Error Codes). */
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
  connection: UpstreamConnection,
  init: OpenInit,
  options: HandshakeOptions,
): Promise<UpstreamFacts> {
  try {
    const version = newestOf("2026", options.versions);
    if (version === undefined) return await initialize(connection, init, options);
    return speaksFirst2025(init, options.versions)
      ? await initializeFirst(connection, init, version, options)
      : await probeFirst(connection, init, version, options);
  } catch (error) {
    if (!(error instanceof McpError) || error instanceof UserAuthError) throw error;
    throw new UpstreamError("rejected", { detail: `error ${error.code}` });
  }
}

/**
 * Tells whether the 2025 era is tried first: for a client of that era whose upstream is served alone, and is
 * to be spoken to in the client's own words.
 */
export function speaksFirst2025(
  { alone }: Pick<OpenInit, "alone">,
  versions: readonly ProtocolVersion[],
): boolean {
  return alone !== undefined && !isModern(alone.version) &&
    newestOf("2025", versions) !== undefined;
}

/** Tries the 2025 era, then the other if the upstream answers with an error. */
async function initializeFirst(
  connection: UpstreamConnection,
  init: OpenInit,
  version: ProtocolVersion,
  options: HandshakeOptions,
): Promise<UpstreamFacts> {
  try {
    return await initialize(connection, init, options);
  } catch (error) {
    if (error instanceof UserAuthError) throw error;
    if (!(error instanceof McpError) || init.signal.aborted) throw error;
    const modern = { ...options, versions: [version] };
    // What the upstream says about `initialize` is of more use than what it says about a second attempt.
    return await probeFirst(connection, init, version, modern).catch(() => Promise.reject(error));
  }
}

/**
 * Tries the 2026 era, then the other. While there is no answer in the 2026 era, the request isn't
 * cancelled: a slow upstream may still answer it, and some exit at a cancellation before `initialize`.
 */
async function probeFirst(
  connection: UpstreamConnection,
  init: OpenInit,
  version: ProtocolVersion,
  options: HandshakeOptions,
): Promise<UpstreamFacts> {
  const { versions, probeTimeoutMs: ms, onVersion, onSilent } = options;
  const { clock, signal } = init;
  const mayFallBack = newestOf("2025", versions) !== undefined;
  const probing = new AbortController();
  const stop = onAbort(signal, () => probing.abort(signal.reason));
  let isAnswered = false;
  let isSilent = false;
  const answer = discover(connection, init, version, versions, probing.signal)
    .finally(() => isAnswered = !probing.signal.aborted);
  const inTime = () => withDeadline({ clock, ms, signal }, () => answer);
  try {
    let facts = await inTime().catch((error) => {
      signal.throwIfAborted();
      if (isAnswered || !mayFallBack) throw error;
      isSilent = true;
      return undefined;
    });
    if (facts === undefined) {
      try {
        return await initialize(connection, init, options);
      } catch (error) {
        // It speaks, so it may answer what it was asked before.
        const isAnswer = error instanceof McpError || error instanceof UpstreamError;
        if (!isAnswer || signal.aborted) throw error;
        facts = await inTime().catch(() => undefined);
        if (facts === undefined) throw error;
      }
    }
    onVersion?.(version);
    return facts;
  } finally {
    if (isSilent && !isAnswered) onSilent?.();
    stop();
    probing.abort(new McpError(ErrorCode.NotAvailable, "The upstream was too slow to answer"));
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

/** Creates a request that the gateway itself makes on behalf of a caller. */
export function ownCall(
  downstream: Downstream,
  { principal, request }: Caller,
  method: string,
  params: JsonObject,
  signal: AbortSignal,
): UpstreamCall {
  return {
    method,
    params,
    signal,
    principal,
    request,
    notify: (notification) => downstream.notified(notification),
    ask: (method, params) => downstream.ask(method, params, signal),
  };
}

/** Reads the facts of a server of the 2026 era; `undefined` for one of the 2025 era. */
async function discover(
  connection: UpstreamConnection,
  init: OpenInit,
  version: ProtocolVersion,
  versions: readonly ProtocolVersion[],
  signal: AbortSignal,
  mayRetry = true,
): Promise<UpstreamFacts | undefined> {
  const mayFallBack = newestOf("2025", versions) !== undefined;
  try {
    const params = { _meta: clientMeta(init, version) };
    const call = ownCall(init.downstream, init, "server/discover", params, signal);
    const result = await connection.request(call);
    const { supportedVersions: supported, serverInfo } = result;
    if (!Array.isArray(supported)) return mayFallBack ? undefined : throwNoVersion();
    if (!supported.includes(version)) return fallBack(supported, versions);
    const info = isObject(result._meta) ? result._meta[MetaKey.ServerInfo] : undefined;
    // Some servers still say it where 2025 has it.
    return factsOf(version, info ?? serverInfo, result);
  } catch (error) {
    if (signal.aborted || !(error instanceof McpError)) throw error;
    if (error instanceof UserAuthError) throw error;
    if (MODERN_ERRORS.has(error.code)) {
      if (error.code !== ErrorCode.UnsupportedVersion) throw error;
      const given = isObject(error.data) ? error.data.supported : undefined;
      const supported = Array.isArray(given) ? given : [];
      // It may have refused the version for the moment, as a node of another release does.
      if (mayRetry && supported.includes(version)) {
        return await discover(connection, init, version, versions, signal, false);
      }
      return fallBack(supported, versions);
    }
    if (mayFallBack) return undefined;
    throw error;
  }
}

/** Falls back to the 2025 era, if both sides accept a version of it. */
function fallBack(supported: readonly unknown[], versions: readonly ProtocolVersion[]): undefined {
  if (versions.some((each) => !isModern(each) && supported.includes(each))) return undefined;
  throwNoVersion();
}

async function initialize(
  connection: UpstreamConnection,
  init: OpenInit,
  { versions, onVersion }: HandshakeOptions,
): Promise<UpstreamFacts> {
  const own = init.alone?.version;
  const params = {
    protocolVersion: own !== undefined && !isModern(own) && versions.includes(own)
      ? own
      : newestOf("2025", versions) ?? throwNoVersion(),
    capabilities: init.client.capabilities,
    clientInfo: init.client.info ?? UNNAMED_CLIENT,
  };
  const call = ownCall(init.downstream, init, "initialize", params, init.signal);
  const result = await connection.request(call);
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
  handshake: JsonObject,
): UpstreamFacts {
  const { capabilities, instructions } = handshake;
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
    handshake,
  };
}

function newestOf(era: Era, versions: readonly ProtocolVersion[]): ProtocolVersion | undefined {
  return versions.find((version) => VERSIONS[version].era === era);
}

function throwNoVersion(): never {
  throw new UpstreamError("protocol", { detail: "no common version of MCP" });
}
