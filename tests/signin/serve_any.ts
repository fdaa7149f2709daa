/**
 * A server on a real port whose function is set after its address is known.
 *
 * @module
 */
import { listen as listenNode } from "../../src/adapters/node_server.ts";

/** A server, and what answers its requests. */
export interface AnyServer extends AsyncDisposable {
  readonly origin: string;
  fetch: (request: Request, context?: unknown) => Promise<Response>;
}

/** Starts a server on a free port of this machine, at one of its own addresses. */
export async function serveAny(hostname = "127.0.0.1"): Promise<AnyServer> {
  let fetch: AnyServer["fetch"] = () => Promise.resolve(new Response(null, { status: 404 }));
  const listener = await listenNode({
    hostname,
    port: 0,
    fetch: (request, context) => fetch(request, context),
    failed() {},
  });
  return {
    origin: `http://${hostname.includes(":") ? `[${hostname}]` : hostname}:${listener.port}`,
    get fetch() {
      return fetch;
    },
    set fetch(given) {
      fetch = given;
    },
    async [Symbol.asyncDispose]() {
      listener.kill();
      await listener.stop();
    },
  };
}
