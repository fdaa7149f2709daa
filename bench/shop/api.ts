/**
 * The HTTP API of a carrier, in a process of its own.
 *
 * @module
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tell } from "../serving.ts";

const server = createServer((request, response) => {
  const { searchParams } = new URL(request.url ?? "/", "http://localhost");
  const items = Number(searchParams.get("items"));
  const body = JSON.stringify({
    price: 4.5 + items,
    days: 3,
    country: searchParams.get("country"),
  });
  response.writeHead(200, { "content-type": "application/json" }).end(body);
});
server.keepAliveTimeout = 60_000;
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const { port } = server.address() as AddressInfo; // as it is for TCP
await tell(() => ({ port }));
