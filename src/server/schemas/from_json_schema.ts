/**
 * Makes schemas of JSON Schema.
 *
 * @module
 */
import { compileJsonSchema } from "./json_schema.ts";
import {
  type JsonSchema,
  type StandardResult,
  type StandardSchema,
  WRITTEN_AS_JSON,
} from "./standard_schema.ts";

/**
 * Makes a schema of a JSON Schema with any keywords. The official SDK has the same function.
 *
 * A schema of common keywords needs no such wrapper; it is required for the others, such as `$ref`,
 * `if` or `uniqueItems`, because they need a complete validator, which is bundled only if this
 * function is used. Clients get the schema as it is written. Later changes to the given object have no
 * effect.
 *
 * A validation takes time in proportion to the size of the value, except for `pattern` and
 * `patternProperties`: some regular expressions take exponential time. With a `maxLength`, longer texts
 * are not matched.
 *
 * @typeParam T The type of the values, which is not checked against the schema
 * @param schema A JSON Schema of draft 2020-12, 2019-09, 07 or 04; 2020-12 without a `$schema`
 * @throws {TypeError} If the dialect is unknown, a reference points outside the schema or to nothing, or
 * a pattern is not a regular expression
 *
 * @example
 * ```ts
 * import { fromJsonSchema, McpServer } from "@mooring/mcp";
 *
 * const server = new McpServer({ name: "demo", version: "1.0.0" });
 * const inputSchema = fromJsonSchema<{ tags: string[] }>({
 *   type: "object",
 *   properties: { tags: { type: "array", items: { $ref: "#/$defs/tag" }, uniqueItems: true } },
 *   required: ["tags"],
 *   $defs: { tag: { type: "string", maxLength: 20 } },
 * });
 * server.registerTool("label", { inputSchema }, ({ tags }) => tags.join(", "));
 * ```
 */
export function fromJsonSchema<T = Record<string, unknown>>(schema: JsonSchema): StandardSchema<T> {
  const { json, validate } = compileJsonSchema(schema, "schema");
  const convert = () => ({ ...json });
  return {
    "~standard": {
      version: 1,
      vendor: WRITTEN_AS_JSON,
      // The caller has named the type
      validate: (value) => validate(value) as StandardResult<T>,
      jsonSchema: { input: convert, output: convert },
    },
  };
}
