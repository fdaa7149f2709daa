/**
 * An API of books: its answers, and its OpenAPI document.
 *
 * @module
 */

/** The books, a hundred of them: 20 kB as JSON. */
export const BOOKS = Array.from({ length: 100 }, (_, n) => ({
  isbn: `978-0-${n}`,
  title: `The ${n}th book of the library, with a title as they have`,
  authors: [{ name: `Author ${n}`, born: 1900 + n }],
  pages: 100 + n,
  tags: ["novel", "library", `shelf-${n}`],
}));

const strings = { type: "array", items: { type: "string" } };
const answer = (schema: object) => ({
  "200": { description: "", content: { "application/json": { schema } } },
});
const isbn = { name: "isbn", in: "path", required: true, schema: { type: "string" } };
const query = [
  { name: "author", in: "query", schema: { type: "string" } },
  { name: "page", in: "query", schema: { type: "integer", minimum: 1 } },
];

/** The document. */
export const DOCUMENT = {
  openapi: "3.1.0",
  info: { title: "Books", version: "1.0.0" },
  paths: {
    "/books": {
      get: {
        operationId: "list",
        parameters: query,
        responses: answer({ type: "array", items: { $ref: "#/components/schemas/Book" } }),
      },
    },
    "/books/{isbn}": {
      get: {
        operationId: "get",
        parameters: [isbn],
        responses: answer({ $ref: "#/components/schemas/Book" }),
      },
    },
  },
  components: {
    schemas: {
      Book: {
        type: "object",
        required: ["isbn", "title", "authors"],
        properties: {
          isbn: { type: "string" },
          title: { type: "string" },
          authors: { type: "array", items: { $ref: "#/components/schemas/Author" } },
          pages: { type: "integer" },
          tags: strings,
        },
      },
      Author: {
        type: "object",
        required: ["name"],
        properties: { name: { type: "string" }, born: { type: "integer" } },
      },
    },
  },
};
