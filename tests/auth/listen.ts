/**
 * Servers of `node:http` on free ports.
 *
 * @module
 */
import type { Server } from "node:http";

/** A server that listens. */
export interface Listening {
  readonly origin: string;
  /** Stops it, whoever is still connected. */
  close(): Promise<void>;
}

/** Has a server listen on a free port of this machine. */
export async function listen(server: Server): Promise<Listening> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("No address");
  return {
    origin: `http://127.0.0.1:${address.port}`,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await closed;
    },
  };
}
