/**
 * Reads the address to serve metrics on.
 *
 * @module
 */

/** Where to serve metrics. */
export interface MetricsAddress {
  readonly hostname: string;
  readonly port: number;
}

/** Only this machine reaches it, on the port that OpenTelemetry's exporter has. */
const DEFAULT: MetricsAddress = { hostname: "127.0.0.1", port: 9_464 };

/** What a valid address is, for errors. */
export const ADDRESS_HELP = 'Give a port, or "HOST:PORT", or true for 127.0.0.1:9464';

/**
 * Reads `true`, a port, `":9464"` or `"HOST:PORT"`, where an IPv6 address is in brackets. Without a host
 * only this machine reaches it.
 *
 * @returns The address, or `undefined` for anything else
 */
export function metricsAddress(value: unknown): MetricsAddress | undefined {
  if (value === true) return DEFAULT;
  const text = typeof value === "number" ? String(value) : value;
  if (typeof text !== "string") return undefined;
  const [, host, digits = ""] =
    /^(?:(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*):)?(\d{1,5})$/.exec(text) ??
      [];
  const port = Number(digits);
  if (digits === "" || port > 65_535) return undefined;
  return { hostname: host || DEFAULT.hostname, port };
}
