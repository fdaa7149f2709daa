/**
 * A line that can be cut: passes bytes on between clients and a server.
 *
 * @module
 */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** A running proxy. */
export interface Proxy {
  /** Where clients connect to, instead of the server. */
  readonly url: string;
  /** How many connections are open. */
  readonly open: number;
  /** Breaks all connections, as a lost network does. New ones go through. */
  cut(): void;
  close(): Promise<void>;
}

/** Puts a proxy in front of a server. */
export async function proxyTo(target: string): Promise<Proxy> {
  const { hostname, port, pathname } = new URL(target);
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect({ host: hostname, port: Number(port) });
    for (const [from, to] of [[near, far], [far, near]] as const) {
      sockets.add(from);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("The proxy has no port");
  const cut = () => sockets.forEach((socket) => socket.destroy());
  return {
    url: `http://127.0.0.1:${address.port}${pathname}`,
    get open() {
      return sockets.size / 2;
    },
    cut,
    async close() {
      cut();
      server.close();
      await once(server, "close");
    },
  };
}
