/**
 * Explains why a server can't listen at an address, in the same words on every runtime.
 *
 * @module
 */

/** The names of the settings that an explanation tells to change. */
export interface ListenSettingNames {
  readonly port: string;
  readonly hostname: string;
}

/** The address that a server can't listen at. */
export interface ListenAddress {
  readonly hostname: string;
  readonly port: number;
}

type Explain = (address: ListenAddress, names: ListenSettingNames) => string;

const absent: Explain = ({ hostname }, names) =>
  `Address ${hostname} isn't one of this machine: choose another with ${names.hostname}`;

/** The explanations by the system's codes. */
const BY_CODE: Readonly<Record<string, Explain>> = {
  EADDRINUSE: ({ port }, names) =>
    `Port ${port} is in use: choose another with ${names.port}, or 0 for any free one`,
  EACCES: ({ port }, names) =>
    `Port ${port} needs more rights: choose one above 1023 with ${names.port}`,
  EADDRNOTAVAIL: absent,
  // Deno's code for the same failure, with `node:http`
  EINVAL: absent,
  ENOTFOUND: absent,
};

/**
 * Creates the error for an address that a server can't listen at. It has the code of the runtime's error.
 * Where the sentence says it all, there is neither a stack nor a cause: uncaught, it is one line.
 */
export function listenError(
  cause: unknown,
  address: ListenAddress,
  names: ListenSettingNames,
): Error {
  // Reading a property works on anything that a runtime throws
  const { code } = cause as { readonly code?: unknown };
  const explain = typeof code === "string" ? BY_CODE[code] : undefined;
  const message = explain?.(address, names) ??
    `Choose another address with ${names.hostname} or ${names.port}: ` +
      `${address.hostname}:${address.port}: ${cause instanceof Error ? cause.message : cause}`;
  const error = new Error(message, explain === undefined ? { cause } : undefined);
  if (explain !== undefined) error.stack = `Error: ${message}`;
  return typeof code === "string" ? Object.assign(error, { code }) : error;
}
