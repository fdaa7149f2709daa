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

/** Starts a server on a free port of this machine. */
export async function serveAny(): Promise<AnyServer> {
  let fetch: AnyServer["fetch"] = () => Promise.resolve(new Response(null, { status: 404 }));
  const listener = await listenNode({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request, context) => fetch(request, context),
    failed() {},
  });
  return {
    origin: `http://127.0.0.1:${listener.port}`,
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
