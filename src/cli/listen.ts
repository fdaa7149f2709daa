/**
 * Listens with `node:http`, which Deno, Bun and Node all have, so that clients' addresses, slow readers
 * and shutdown work the same on each.
 *
 * @module
 */
import type { Listener, ListenInit } from "../adapters/running_server.ts";
import { listen as listenNode } from "../adapters/node_server.ts";
import { CliError, messageOf } from "./errors.ts";

/** A listener that stops within a bounded time. */
export type BoundListener = Pick<Listener, "port" | "stop">;

/** Time for the last responses to be sent, in milliseconds. */
const LINGER_MS = 400;

/** The advice for common errors. */
const ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: "Choose another port with --port, or stop what listens on this one",
  EACCES: "Choose a port above 1023 with --port: this one needs more rights",
  EADDRNOTAVAIL: "Choose an address of this machine with --host",
  // Deno's code for the same failure
  EINVAL: "Choose an address of this machine with --host",
  ENOTFOUND: "Choose an address of this machine with --host",
};

/**
 * Listens on an address.
 *
 * @throws {CliError} If it can't, with what to do
 */
export async function listen(init: ListenInit): Promise<BoundListener> {
  const { port, stop, kill } = await listenNode(init).catch((cause: unknown) => {
    throw new CliError(`${adviceOn(cause)}: ${init.hostname}:${init.port}`, undefined, { cause });
  });
  return {
    port,
    async stop() {
      const timer = setTimeout(kill, LINGER_MS);
      await stop();
      clearTimeout(timer);
    },
  };
}

function adviceOn(error: unknown): string {
  // Reading a property works on anything that is thrown here
  const { code } = error as { readonly code?: unknown };
  const advice = typeof code === "string" ? ADVICE[code] : undefined;
  return advice ?? `Choose another address or port: ${messageOf(error)}`;
}
