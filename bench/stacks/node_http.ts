/**
 * The floor without the layer between `node:http` and a `Request`: the least that any server on Node must
 * do.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { textResult, toolsFor } from "../tools.ts";
import { floor } from "./floor.ts";
import type { Listening, StackInit, StackModule } from "./types.ts";

interface Message {
  readonly id: number;
  readonly params: { readonly name: string; readonly arguments: unknown };
}

function listen({ tools: count }: StackInit): Promise<Listening> {
  const tools = new Map(toolsFor(count).map((tool) => [tool.name, tool]));
  const answer = (body: string): string => {
    const { id, params }: Message = JSON.parse(body);
    const text = tools.get(params.name)?.run(params.arguments, () => {}) as string; // none is asynchronous
    return JSON.stringify({ jsonrpc: "2.0", id, result: textResult(text) });
  };
  const server = createServer((incoming, outgoing) => respond(incoming, outgoing, answer));
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve({ port: typeof address === "object" ? address?.port ?? 0 : 0 });
    });
  });
}

function respond(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  answer: (body: string) => string,
): void {
  const chunks: Uint8Array[] = [];
  incoming.on("data", (chunk: Uint8Array) => void chunks.push(chunk));
  incoming.on("end", () => {
    const text = answer(Buffer.concat(chunks).toString());
    outgoing.writeHead(200, {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(text),
    });
    outgoing.end(text);
  });
}

/** The floor on `node:http` alone. */
export const nodeHttp: StackModule = {
  title: "bare node:http",
  kinds: [],
  make: floor.make,
  listen,
};
