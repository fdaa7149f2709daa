/**
 * Judges answers by a document's own schemas, with another validator (Ajv) and without the conversion that
 * is tested.
 *
 * @module
 */
import { References } from "../../src/gateway/openapi/references.ts";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";
import { published } from "./mock.ts";

/** What is used of Ajv. */
interface Ajv {
  addSchema(schema: unknown, key: string): void;
  compile(schema: unknown): (value: unknown) => boolean;
}

/** Writes `nullable` of OpenAPI 3.0 as JSON Schema has it. */
function withNull(part: unknown): unknown {
  if (Array.isArray(part)) return part.map(withNull);
  if (!isObject(part)) return part;
  const { nullable, ...own } = Object.fromEntries(
    Object.entries(part).map(([key, value]) => [key, withNull(value)]),
  );
  if (nullable !== true) return nullable === undefined || nullable === false ? own : part;
  return { anyOf: [own, { type: "null" }] };
}

/** Judges the answers of one document. */
export class Judge {
  readonly #ajv: Ajv;
  readonly #references: References;
  readonly #paths: JsonObject;

  private constructor(ajv: Ajv, document: JsonObject) {
    this.#ajv = ajv;
    this.#references = new References(document);
    this.#paths = isObject(document.paths) ? document.paths : {};
    ajv.addSchema({ $id: "doc", components: withNull(document.components) }, "doc");
  }

  static async of(document: JsonObject): Promise<Judge> {
    const { default: found } = await import(published("ajv/dist/2020.js"));
    const { default: Ajv2020 = found } = found;
    const options = { strict: false, validateSchema: false, validateFormats: false, logger: false };
    return new Judge(new Ajv2020(options), document);
  }

  /** Tells whether an answer fits the schema of its operation and status. */
  fits(path: string, method: string, status: string, answer: unknown): boolean {
    const item = this.#references.object(this.#paths[path]);
    const operation = this.#references.object(item?.[method.toLowerCase()]);
    const responses = isObject(operation?.responses) ? operation.responses : {};
    const response = this.#references.object(responses[status] ?? responses.default);
    const [media] = isObject(response?.content) ? Object.values(response.content) : [];
    const schema = withNull(this.#references.object(media)?.schema ?? {});
    const text = JSON.stringify(schema).replaceAll('"$ref":"#/', '"$ref":"doc#/');
    return this.#ajv.compile(JSON.parse(text))(answer);
  }
}
