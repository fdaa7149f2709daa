/**
 * Finds out which era an upstream speaks, and what it says of itself.
 *
 * The newer era is tried first. Any error but one of that era's own means that the upstream is of the
 * older one, and so does silence (2026-07-28, Versioning and Compatibility).
 *
 * @module
 */
import { MetaKey } from "../protocol/envelope.ts";
import { ErrorCode, McpError } from "../protocol/errors.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import type { Implementation } from "../protocol/shapes.ts";
import { type Era, isVersion, type ProtocolVersion, VERSIONS } from "../protocol/versions.ts";
import { raced } from "./bounded.ts";
import type { Peer } from "./peer.ts";
import type { OpenInit, UpstreamCall, UpstreamFacts } from "./types.ts";
import { UpstreamError } from "./upstream_error.ts";

/** How an upstream is greeted. */
export interface HandshakeOptions {
  /** The versions that may be agreed on, newest first. */
  readonly versions: readonly ProtocolVersion[];
  /** How long an upstream that may be of the older era has to answer in the newer one, in milliseconds. */
  readonly probeTimeoutMs: number;
  /** Told of the version before anything else is sent in it. */
  readonly agreed?: (version: ProtocolVersion) => void;
}

/** What only a server of the newer era says (2026-07-28, Basic, Error Codes). */
const MODERN_ERRORS: ReadonlySet<number> = new Set([
  ErrorCode.HeaderMismatch,
  ErrorCode.MissingClientCapability,
  ErrorCode.UnsupportedVersion,
]);

/** Who the gateway says it is for a client that doesn't tell its name. */
const NAMELESS: Implementation = { name: "mooring-gateway", version: "1.0.0" };

/**
 * Greets an upstream, and agrees with it on a version.
 *
 * @throws {UpstreamError} If it refuses, or there is no version that both speak
 * @throws {AbortSignal["reason"]} When `init.signal` aborts
 */
export async function shakeHands(
  peer: Peer,
  init: OpenInit,
  options: HandshakeOptions,
): Promise<UpstreamFacts> {
  try {
    const facts = ofEra("2026", options.versions) === undefined
      ? undefined
      : await discover(peer, init, options);
    return facts ?? await initialize(peer, init, options);
  } catch (error) {
    if (!(error instanceof McpError)) throw error;
    throw new UpstreamError("rejected", { detail: `error ${error.code}` });
  }
}

/** What every request of the newer era says of its client. */
export function clientMeta({ client }: OpenInit, version: ProtocolVersion): JsonObject {
  return {
    [MetaKey.ProtocolVersion]: version,
    [MetaKey.ClientInfo]: client.info ?? NAMELESS,
    [MetaKey.ClientCapabilities]: client.capabilities,
  };
}

/** A request of the gateway's own, in the course of the one that the session begins in. */
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
    ask: (asked, about) => downstream.ask(asked, about, signal),
  };
}

/** The facts of a server of the newer era, or `undefined` for one of the older. */
async function discover(
  peer: Peer,
  init: OpenInit,
  { versions, probeTimeoutMs, agreed }: HandshakeOptions,
): Promise<UpstreamFacts | undefined> {
  const version = ofEra("2026", versions) ?? "2026-07-28";
  const olderToo = ofEra("2025", versions) !== undefined;
  const probe = new AbortController();
  const stop = () => probe.abort(init.signal.reason);
  init.signal.throwIfAborted();
  init.signal.addEventListener("abort", stop, { once: true });
  const late = new UpstreamError("timeout");
  const cancelTimer = init.clock.timer(probeTimeoutMs, () => probe.abort(late));
  try {
    const params = { _meta: clientMeta(init, version) };
    const result = await peer.request(ownCall(init, "server/discover", params, probe.signal));
    const { supportedVersions: supported } = result;
    if (!Array.isArray(supported)) return olderToo ? undefined : throwNoVersion();
    if (!supported.includes(version)) return olderIn(supported, versions);
    agreed?.(version);
    return modernFacts(result, version);
  } catch (error) {
    if (error === late && olderToo) return undefined;
    if (!(error instanceof McpError)) throw error;
    if (MODERN_ERRORS.has(error.code)) {
      if (error.code !== ErrorCode.UnsupportedVersion) throw error;
      const supported = isObject(error.data) ? error.data.supported : undefined;
      return olderIn(Array.isArray(supported) ? supported : [], versions);
    }
    if (olderToo) return undefined;
    throw error;
  } finally {
    cancelTimer();
    init.signal.removeEventListener("abort", stop);
  }
}

/** Goes on in the older era, if the upstream speaks it too. */
function olderIn(supported: readonly unknown[], versions: readonly ProtocolVersion[]): undefined {
  const common = versions.some((each) => VERSIONS[each].era === "2025" && supported.includes(each));
  if (!common) throwNoVersion();
  return undefined;
}

async function initialize(
  peer: Peer,
  init: OpenInit,
  { versions, agreed }: HandshakeOptions,
): Promise<UpstreamFacts> {
  const params = {
    protocolVersion: ofEra("2025", versions) ?? throwNoVersion(),
    capabilities: init.client.capabilities,
    clientInfo: init.client.info ?? NAMELESS,
  };
  const result = await peer.request(ownCall(init, "initialize", params, init.signal));
  const { protocolVersion, serverInfo, capabilities, instructions } = result;
  if (!isVersion(protocolVersion) || !versions.includes(protocolVersion)) throwNoVersion();
  if (VERSIONS[protocolVersion].era !== "2025") throwNoVersion();
  agreed?.(protocolVersion);
  await raced(peer.notify({ method: "notifications/initialized" }), init.signal);
  return factsOf(protocolVersion, serverInfo, capabilities, instructions);
}

function modernFacts(result: JsonObject, version: ProtocolVersion): UpstreamFacts {
  const info = isObject(result._meta) ? result._meta[MetaKey.ServerInfo] : undefined;
  return factsOf(version, info, result.capabilities, result.instructions);
}

function factsOf(
  protocolVersion: ProtocolVersion,
  info: unknown,
  capabilities: unknown,
  instructions: unknown,
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

function ofEra(era: Era, versions: readonly ProtocolVersion[]): ProtocolVersion | undefined {
  return versions.find((version) => VERSIONS[version].era === era);
}

function throwNoVersion(): never {
  throw new UpstreamError("protocol", { detail: "no version of MCP that both speak" });
}
