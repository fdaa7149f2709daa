/**
 * Listens with `node:http`, which Deno, Bun and Node all have, so that clients' addresses, slow readers
 * and shutdown work the same on each.
 *
 * @module
 */
import { listen as listenNode, type Listener, type ListenInit } from "../../adapters/node.ts";
import { listenError } from "../../kit.ts";
import { CliError } from "../errors.ts";

/** A listener that stops within a bounded time. */
export type BoundListener = Pick<Listener, "port" | "address" | "stop" | "handOver">;

/** Time for the last responses to be sent, in milliseconds. */
const LINGER_MS = 400;

/**
 * Listens on an address.
 *
 * @param options The options of the command that set the address, for errors
 * @throws {CliError} If it can't, with what to do
 */
export async function listen(
  init: ListenInit,
  options: { readonly port?: string; readonly hostname?: string } = {},
): Promise<BoundListener> {
  const { port, address, stop, kill, handOver } = await listenNode(init).catch((cause: unknown) => {
    const { port = "--port", hostname = "--host" } = options;
    const { message } = listenError(cause, init, { port, hostname });
    throw new CliError(message, undefined, { cause });
  });
  return {
    port,
    address,
    ...handOver !== undefined && { handOver },
    async stop() {
      const timer = setTimeout(kill, LINGER_MS);
      await stop();
      clearTimeout(timer);
    },
  };
}
