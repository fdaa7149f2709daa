/**
 * Listens, with `node:http`, which Deno, Bun and Node all have: so clients' addresses, slow readers and
 * the end are the same on each.
 *
 * @module
 */
import type { Listener, ListenInit } from "../adapters/drain.ts";
import { listen as listenNode } from "../adapters/node_server.ts";
import { CliError, messageOf } from "./errors.ts";

/** What listens, and stops within a bounded time by itself. */
export type BoundListener = Pick<Listener, "port" | "stop">;

/** How long the last answers may take to leave, in milliseconds. */
const LINGER_MS = 400;

/** What to do about the failures that people meet. */
const ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: "Choose another port with --port, or stop what listens on this one",
  EACCES: "Choose a port above 1023 with --port: this one needs more rights",
  EADDRNOTAVAIL: "Choose an address of this machine with --host",
  // What Deno calls the same
  EINVAL: "Choose an address of this machine with --host",
  ENOTFOUND: "Choose an address of this machine with --host",
};

/**
 * Listens.
 *
 * @throws {CliError} If it can't
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
  // Looking for a property harms nothing, whatever was thrown
  const { code } = error as { readonly code?: unknown };
  const advice = typeof code === "string" ? ADVICE[code] : undefined;
  return advice ?? `Can't listen there: ${messageOf(error)}`;
}
