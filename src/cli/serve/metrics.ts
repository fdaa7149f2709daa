/**
 * Serves the metrics of `mooring serve` for Prometheus, on an address apart from the endpoint's.
 *
 * @module
 */
import { isLoopback, parseAuthority, pathOf } from "../../kit.ts";
import { bareHostname, endpointUrl } from "../../kit_node.ts";
import type { Metrics } from "../../telemetry/metrics.ts";
import { CliError, ExitCode } from "../errors.ts";
import { type BoundListener, listen } from "./listen.ts";
import type { MetricsAddress } from "./metrics_address.ts";

/** The path that Prometheus asks for by default. */
const METRICS_PATH = "/metrics";

/**
 * Loads what counts. Only who asks for metrics needs the package `prom-client`.
 *
 * @throws {CliError} If it isn't installed
 */
export async function loadMetrics(): Promise<Metrics> {
  try {
    const { metrics } = await import("../../telemetry/metrics.ts");
    return metrics();
  } catch (cause) {
    const message = 'Install the package "prom-client" to serve metrics: npm install prom-client';
    throw new CliError(message, ExitCode.Failed, { cause });
  }
}

/** The listener for scrapes. */
export interface MetricsListener extends BoundListener {
  /** The URL to scrape. */
  readonly url: string;
}

/**
 * Listens for scrapes.
 *
 * @throws {CliError} If it can't listen on the address
 */
export async function serveMetrics(
  { hostname: given, port }: MetricsAddress,
  metrics: Metrics,
  failed: (error: unknown) => void,
): Promise<MetricsListener> {
  const hostname = bareHostname(given);
  const guarded = isLoopback(hostname);
  const fetch = async (request: Request): Promise<Response> => {
    // A web page could otherwise read them through a name of its own (DNS rebinding)
    const { host } = parseAuthority(request.headers.get("host") ?? "") ?? { host: "" };
    if (guarded && !isLoopback(host)) {
      return new Response("Use the address itself as the host\n", { status: 403 });
    }
    if (pathOf(request.url) !== METRICS_PATH) {
      return new Response(`Use ${METRICS_PATH}\n`, { status: 404 });
    }
    return await metrics.fetch(request);
  };
  const listener = await listen({ hostname, port, fetch, failed }, {
    port: "--metrics",
    hostname: "--metrics",
  });
  return { ...listener, url: endpointUrl(hostname, listener.port, METRICS_PATH) };
}
