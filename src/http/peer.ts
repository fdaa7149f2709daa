/**
 * Finds out which requests come directly from a user of this machine.
 *
 * @module
 */
import { isLoopback } from "../internal/loopback.ts";
import { addressKey } from "./gates/address_key.ts";
import { parseAuthority } from "./gates/authority.ts";

/** Headers by which proxies, which speak for many users, show themselves. */
const PROXY_HEADERS = [
  "forwarded",
  "via",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
  "x-forwarded-server",
  "x-real-ip",
  "x-client-ip",
  "x-cluster-client-ip",
  "x-original-forwarded-for",
  "x-envoy-external-address",
  "x-envoy-internal",
  "x-envoy-expected-rq-timeout-ms",
  "true-client-ip",
  "cf-connecting-ip",
  "cf-ray",
  "cdn-loop",
  "fastly-client-ip",
  "fly-client-ip",
] as const;

/**
 * Returns the loopback address that a request comes from; `undefined` if it comes from elsewhere, through
 * a proxy, or the host doesn't tell.
 *
 * @param context The value that the host passed beside the request: that of `Deno.serve`, `Bun.serve` or
 * the Node adapter, or a Hono context that contains it
 * @param request Returns the request
 */
export function localPeer(context: unknown, request: () => Request): string | undefined {
  const peer = peerAddress(context, request);
  if (peer === undefined) return undefined;
  const address = peer === "::1" ? "127.0.0.1" : addressKey(peer);
  if (!isLoopback(address)) return undefined;
  const { headers, url } = request();
  if (PROXY_HEADERS.some((name) => headers.has(name))) return undefined;
  // A proxy that passes the Host header on shows itself by a name that isn't this machine's.
  const host = parseAuthority(headers.get("host") ?? new URL(url).host);
  return host !== undefined && isLoopback(host.host) ? address : undefined;
}

/** Returns the address at the other end of a connection, if the host tells. */
export function peerAddress(context: unknown, request: () => Request): string | undefined {
  for (let host = context, depth = 0; isObject(host) && depth < 3; depth++) {
    const address = addressIn(host, request);
    if (address !== undefined) return address;
    host = host.env ?? host.server;
  }
  return undefined;
}

function addressIn(host: ForwardedFields, request: () => Request): string | undefined {
  const { remoteAddr, incoming, requestIP } = host;
  const found = isObject(remoteAddr)
    ? remoteAddr.hostname
    : isObject(incoming) && isObject(incoming.socket)
    ? incoming.socket.remoteAddress
    : typeof requestIP === "function"
    ? addressOf(requestIP.call(host, request()))
    : undefined;
  return typeof found === "string" && found !== "" ? found : undefined;
}

function addressOf(found: unknown): unknown {
  return isObject(found) ? found.address : undefined;
}

interface ForwardedFields {
  readonly [name: string]: unknown;
}

function isObject(value: unknown): value is ForwardedFields {
  return typeof value === "object" && value !== null;
}
