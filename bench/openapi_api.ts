/**
 * A process that serves an HTTP API of books on loopback, on a port that it tells.
 *
 * @module
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { cpuTime } from "./cpu_time.ts";
import type { Serving } from "./http_server.ts";
import { BOOKS } from "./openapi_books.ts";
import { tell } from "./serving.ts";

const one = JSON.stringify(BOOKS[0]);
const all = JSON.stringify(BOOKS);
const server = createServer((incoming, outgoing) => {
  const path = incoming.url ?? "";
  outgoing.setHeader("content-type", "application/json");
  outgoing.end(path.startsWith("/books?") ? all : one);
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
const { port } = server.address() as AddressInfo; // it listens on a port
await tell((): Serving => ({ port, cpuMs: cpuTime() }));
