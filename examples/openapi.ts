/**
 * An HTTP API that has an OpenAPI document, served as an MCP server: each of its operations is a tool.
 *
 *     deno task run examples/openapi.ts
 *
 * The API is a function in this file, so that the example runs without a network. For an API elsewhere,
 * leave `fetch` out, and give its document as a file or a URL.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { gateway, openapi } from "@mooring/mcp/gateway";

/** The document, as the authors of the API have written it. */
const document = {
  openapi: "3.1.0",
  info: { title: "Books", version: "1.0.0", description: "The books of a small library." },
  servers: [{ url: "https://books.example/api" }],
  security: [{ key: [] }],
  paths: {
    "/books": {
      get: {
        operationId: "books/search",
        summary: "Finds books",
        parameters: [
          { name: "author", in: "query", schema: { type: "string" } },
          { name: "page", in: "query", schema: { type: "integer", minimum: 1, default: 1 } },
        ],
        responses: {
          "200": {
            description: "A page of books",
            content: {
              "application/json": {
                schema: { type: "array", items: { $ref: "#/components/schemas/Book" } },
              },
            },
          },
        },
      },
    },
    "/books/{isbn}": {
      parameters: [{ name: "isbn", in: "path", required: true, schema: { type: "string" } }],
      get: {
        operationId: "books/get",
        summary: "Returns a book",
        responses: {
          "200": {
            description: "The book",
            content: { "application/json": { schema: { $ref: "#/components/schemas/Book" } } },
          },
        },
      },
      delete: {
        operationId: "books/delete",
        summary: "Removes a book",
        responses: { "204": { description: "Removed" } },
      },
    },
  },
  components: {
    schemas: {
      Book: {
        type: "object",
        required: ["isbn", "title", "author"],
        properties: {
          isbn: { type: "string" },
          title: { type: "string" },
          author: { type: "string" },
          sequelOf: { $ref: "#/components/schemas/Book" },
        },
      },
    },
    securitySchemes: { key: { type: "apiKey", in: "header", name: "x-api-key" } },
  },
};

const KEY = process.env.BOOKS_KEY ?? "key-for-this-example";
const BOOKS = [
  { isbn: "0-330-25864-8", title: "The Hitchhiker's Guide to the Galaxy", author: "Adams" },
  { isbn: "0-441-56956-0", title: "Neuromancer", author: "Gibson" },
];

/** The API. */
async function api(url: string, init: RequestInit = {}): Promise<Response> {
  const { pathname, searchParams } = new URL(url);
  if (new Headers(init.headers).get("x-api-key") !== KEY) {
    return Response.json({ error: "Who are you?" }, { status: 401 });
  }
  if (pathname === "/api/books") {
    const author = searchParams.get("author");
    return Response.json(BOOKS.filter((book) => author === null || book.author === author));
  }
  const at = BOOKS.findIndex(({ isbn }) => pathname === `/api/books/${isbn}`);
  if (at < 0) return Response.json({ error: "No such book" }, { status: 404 });
  if (init.method !== "DELETE") return Response.json(BOOKS[at]);
  BOOKS.splice(at, 1);
  return new Response(null, { status: 204 });
}

/** The gateway, with the tools `books__books_search` and `books__books_get`. */
export const gw = gateway({
  upstreams: { books: openapi({ document, auth: KEY, fetch: api }) },
  // Nobody removes a book by this way.
  policy: { upstreams: { books: { tools: { deny: ["books_delete"] } } } },
});

if (import.meta.main) {
  const { values } = parseArgs({
    options: { port: { type: "string", default: process.env.PORT ?? "8000" } },
  });
  // An application imports only the one for its runtime.
  const { serve } = "Deno" in globalThis
    ? await import("@mooring/mcp/deno")
    : "Bun" in globalThis
    ? await import("@mooring/mcp/bun")
    : await import("@mooring/mcp/node");
  const { url } = await serve(gw, { port: Number(values.port) });
  const inspect = `npx -y @modelcontextprotocol/inspector@2.12.0 --cli ${url} --transport http`;
  const hello = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":' +
    '"2025-11-25","capabilities":{},"clientInfo":{"name":"curl","version":"1.0.0"}}}';
  console.log(
    `Listening at ${url}. Try it: the API's operations are tools.

  curl -si ${url} -H 'content-type: application/json' -d '${hello}'

  ${inspect} --method tools/list
  ${inspect} --method tools/call --tool-name books__books_search --tool-arg author=Gibson
`,
  );
}
