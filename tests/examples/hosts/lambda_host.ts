/**
 * Serves `examples/hosts/lambda.ts` as a function URL does: each request becomes an event (payload format
 * 2.0), and what the function writes to its response stream is sent at once.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Writable } from "node:stream";

type Invoke = (event: unknown, stream: Writable, context: unknown) => Promise<void>;

interface Metadata {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
}

const writers = new WeakMap<Writable, ServerResponse>();

// What Lambda's runtime for Node has as a global.
Object.assign(globalThis, {
  awslambda: {
    streamifyResponse: (invoke: Invoke) => invoke,
    HttpResponseStream: {
      from(stream: Writable, { statusCode, headers }: Metadata): Writable {
        writers.get(stream)?.writeHead(statusCode, { ...headers }).flushHeaders();
        return stream;
      },
    },
  },
});

const { handler } = await import("../../../examples/hosts/lambda.ts");
const invoke = handler as unknown as Invoke; // hono declares the runtime's own types

async function eventOf(incoming: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const { pathname, search } = new URL(incoming.url ?? "/", "http://localhost");
  return {
    version: "2.0",
    routeKey: "$default",
    rawPath: pathname,
    rawQueryString: search.slice(1),
    headers: incoming.headers,
    requestContext: {
      domainName: incoming.headers.host,
      http: { method: incoming.method, path: pathname },
    },
    ...chunks.length > 0 &&
      { body: Buffer.concat(chunks).toString("base64"), isBase64Encoded: true },
  };
}

const listener = createServer(async (incoming, outgoing) => {
  const stream = new Writable({
    write: (chunk, _encoding, done) => void outgoing.write(chunk, () => done()),
    final: (done) => void outgoing.end(() => done()),
  });
  writers.set(stream, outgoing);
  // A client that goes away is no news to the function.
  outgoing.on("error", () => {});
  await invoke(await eventOf(incoming), stream, {});
});
listener.listen(0, "127.0.0.1", () => {
  const address = listener.address();
  console.log(`Listening at http://127.0.0.1:${typeof address === "object" && address?.port}/mcp`);
});
