/**
 * A node of a gateway in a process of its own, which tests kill at a step of a renewal. Its argument is
 * {@linkcode MortalNodeInit} as JSON. It writes the port that it listens to.
 *
 * @module
 */
import { createServer, type IncomingMessage } from "node:http";
import process from "node:process";
import { createClient } from "redis";
import { createMcpHandler } from "../../mod.ts";
import { accounts } from "../../src/accounts/mod.ts";
import type { RecordStore, Store } from "../../src/cluster/mod.ts";
import { gateway, http } from "../../src/gateway/mod.ts";
import { redisStore } from "../../src/redis/mod.ts";
import { sqliteStore } from "../../src/sql/mod.ts";
import { CLIENT } from "../auth/authorization_server.ts";
import { byToken } from "../support/wire.ts";

/** How a node is started. */
export interface MortalNodeInit {
  /** The address of the pages, at whatever node. */
  readonly url: string;
  /** The port to listen to; 0 for any. */
  readonly port: number;
  /** The store: a Redis with a prefix, or a file. */
  readonly store: { readonly redis: string; readonly prefix: string } | { readonly file: string };
  /** The upstream `notes`. */
  readonly upstream: string;
  /** How far the clock is ahead, in milliseconds. */
  readonly aheadMs: number;
}

/** A step of a renewal at which a node kills itself. */
export type Step =
  | "before it takes the lock"
  | "after it has taken the lock"
  | "before the tokens are stored"
  | "after the tokens are stored";

/** What is sent to `/control`, which answers how far the clock is ahead then. */
export interface Control {
  /** Moves the clock on, in milliseconds. */
  readonly advanceMs?: number;
  /** Kills the node at a step of its next renewal. */
  readonly dieAt?: Step;
}

/** Runs the node. */
async function main(init: MortalNodeInit): Promise<void> {
  let aheadMs = init.aheadMs;
  let dieAt: Step | undefined;
  const die = (step: Step): void => {
    if (dieAt === step) process.kill(process.pid, "SIGKILL");
  };
  const clock = {
    now: () => Date.now() + aheadMs,
    timer(ms: number, callback: () => void) {
      const timer = setTimeout(callback, ms);
      return () => clearTimeout(timer);
    },
  };
  const store = await openStore(init.store);
  const own = accounts({
    url: init.url,
    browser: (request) => ({ id: request.headers.get("x-user") ?? "" }),
    keys: ["the secret of all nodes in the tests"],
    allowInsecure: true,
    clock,
    store: {
      ...store,
      open: (settings) => store.open(settings),
      records(clock) {
        const records = store.records?.(clock);
        if (records === undefined) throw new Error("No records");
        return {
          get: (key) => records.get(key),
          delete: (key, version) => records.delete(key, version),
          list: (prefix, cursor) => records.list(prefix, cursor),
          async put(key, value, write) {
            const isLock = key.includes(":renewing:");
            if (dieAt === undefined || !isLock && !key.includes(":account:")) {
              return await records.put(key, value, write);
            }
            die(isLock ? "before it takes the lock" : "before the tokens are stored");
            const version = await records.put(key, value, write);
            die(isLock ? "after it has taken the lock" : "after the tokens are stored");
            return version;
          },
        } satisfies RecordStore;
      },
    },
  });
  const gw = gateway({
    upstreams: {
      notes: http({ url: init.upstream, auth: own.auth({ clientId: CLIENT.client_id }) }),
    },
  });
  const handler = createMcpHandler(gw, { path: "/mcp", authenticate: byToken });
  const control = async (request: Request): Promise<Response> => {
    const asked: Control = await request.json();
    aheadMs += asked.advanceMs ?? 0;
    dieAt = asked.dieAt ?? dieAt;
    return Response.json({ aheadMs });
  };
  const server = createServer(async (incoming, outgoing) => {
    const request = await requestOf(incoming);
    const response = new URL(request.url).pathname === "/control"
      ? await control(request)
      : await own.routes(request) ?? await handler(request);
    outgoing.writeHead(response.status, [...response.headers].flat());
    outgoing.end(await response.text());
  });
  server.listen(init.port, "127.0.0.1", () => {
    const address = server.address();
    console.log(`http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`);
  });
}

async function openStore(given: MortalNodeInit["store"]): Promise<Store> {
  if ("file" in given) return sqliteStore({ path: given.file });
  const client = createClient({ url: given.redis });
  await client.connect();
  return redisStore({ client, prefix: given.prefix });
}

async function requestOf(incoming: IncomingMessage): Promise<Request> {
  const pieces: Uint8Array[] = [];
  for await (const piece of incoming) pieces.push(piece);
  const { method = "GET", url = "/", headers } = incoming;
  const own = Object.entries(headers).map(([name, value]) =>
    [name, String(value)] as [string, string]
  );
  return new Request(`http://${headers.host}${url}`, {
    method,
    headers: own,
    ...method !== "GET" && { body: Buffer.concat(pieces) },
  });
}

await main(JSON.parse(process.argv[2] ?? "{}"));
