/**
 * Generates values that fit a JSON Schema of a tool, for published documents.
 *
 * @module
 */
import fc from "fast-check";
import { isObject, type JsonObject } from "../../src/protocol/jsonrpc.ts";

/** The most levels below which only what is required is generated. */
const SHALLOW = 2;
/** The most levels below which lists are empty, and the first alternative is taken. */
const DEEP = 5;

const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: length, maxLength: length });
const digits = (min: number, max: number) =>
  fc.integer({ min, max }).map((value) => String(value).padStart(2, "0"));
const date = fc.tuple(fc.integer({ min: 1970, max: 2037 }), digits(1, 12), digits(1, 28))
  .map((parts) => parts.join("-"));

/** The formats that a validator checks. */
const FORMATS: Readonly<Record<string, fc.Arbitrary<string>>> = {
  date,
  "date-time": fc.tuple(date, digits(0, 23), digits(0, 59)).map(([day, hour, minute]) =>
    `${day}T${hour}:${minute}:00Z`
  ),
  email: hex(8).map((name) => `${name}@example.com`),
  hostname: hex(8).map((name) => `${name}.example`),
  ipv4: fc.integer({ min: 1, max: 254 }).map((last) => `192.0.2.${last}`),
  ipv6: hex(4).map((last) => `2001:db8::${last}`),
  uri: hex(8).map((path) => `https://example.com/${path}`),
  url: hex(8).map((path) => `https://example.com/${path}`),
  uuid: fc.tuple(hex(8), hex(4), hex(3), hex(3), hex(12)).map(([a, b, c, d, e]) =>
    `${a}-${b}-4${c}-a${d}-${e}`
  ),
};

/** Joins an object's schema with one of its alternatives. */
function mergedObject(own: JsonObject, part: unknown): JsonObject {
  if (!isObject(part)) return own;
  const required = [own.required, part.required].flatMap((each) => Array.isArray(each) ? each : []);
  const properties = { ...isObject(own.properties) && own.properties };
  Object.assign(properties, isObject(part.properties) && part.properties);
  return { ...own, ...part, properties, required };
}

/** Makes values that fit a converted schema. What it doesn't know of a schema, a validator must judge. */
export class Values {
  readonly #defs: JsonObject;

  constructor(root: JsonObject) {
    this.#defs = isObject(root.$defs) ? root.$defs : {};
  }

  of(schema: unknown, depth = 0): fc.Arbitrary<unknown> {
    if (!isObject(schema)) return fc.constant("any");
    if (typeof schema.$ref === "string") {
      return this.of(this.#defs[schema.$ref.slice("#/$defs/".length)], depth + 1);
    }
    if ("const" in schema) return fc.constant(schema.const);
    if (Array.isArray(schema.enum)) return fc.constantFrom(...schema.enum);
    const { allOf, anyOf, ...own } = schema;
    if (Array.isArray(allOf)) {
      const parts = allOf.map((part) => this.of(part, depth + 1));
      const more = "properties" in own || "anyOf" in schema
        ? [this.of({ ...own, ...anyOf !== undefined && { anyOf } }, depth + 1)]
        : [];
      return fc.tuple(...parts, ...more).map((all) =>
        all.every(isObject) ? Object.assign({}, ...all) : all[0]
      );
    }
    if (Array.isArray(anyOf)) {
      const fitting = depth > DEEP ? anyOf.slice(0, 1) : anyOf;
      const one = fc.oneof(...fitting.map((part) => this.of(part, depth + 1)));
      if (!("properties" in own)) return one;
      // Alternatives of the same object, most of which say what else is required.
      return fc.oneof(...fitting.map((part) => this.of(mergedObject(own, part), depth)));
    }
    return this.#typed(schema, depth);
  }

  #typed(schema: JsonObject, depth: number): fc.Arbitrary<unknown> {
    const isNamed = "properties" in schema || "required" in schema;
    const [type = isNamed ? "object" : "string"] = [schema.type].flat();
    switch (type) {
      case "null":
        return fc.constant(null);
      case "boolean":
        return fc.boolean();
      case "integer":
      case "number": {
        const min = schema.minimum ?? Number(schema.exclusiveMinimum ?? 0) + 1;
        const max = schema.maximum ?? Math.max(Number(min), 1000);
        return fc.integer({ min: Math.ceil(Number(min)), max: Math.floor(Number(max)) });
      }
      case "array": {
        const minLength = Number(schema.minItems ?? 0);
        const maxLength = Math.max(minLength, depth >= DEEP ? 0 : 2);
        const items = this.of(schema.items, depth + 1);
        const bounds = { minLength, maxLength: Math.min(maxLength, Number(schema.maxItems ?? 99)) };
        return schema.uniqueItems === true
          ? fc.uniqueArray(items, { ...bounds, selector: (item) => JSON.stringify(item) })
          : fc.array(items, bounds);
      }
      case "object":
        return this.#object(schema, depth);
      default:
        return this.#text(schema);
    }
  }

  #text({ minLength, maxLength, pattern, format, contentEncoding }: JsonObject) {
    if (typeof pattern === "string") return fc.stringMatching(new RegExp(pattern, "u"));
    const known = typeof format === "string" && Object.hasOwn(FORMATS, format)
      ? FORMATS[format]
      : undefined;
    if (known !== undefined) return known;
    const least = Math.max(1, Number(minLength ?? 0));
    const most = Math.max(least, Math.min(Number(maxLength ?? 12), 12));
    const unit = fc.constantFrom(..."abcXYZ019-_ /%é");
    const text = fc.string({ unit, minLength: least, maxLength: most });
    return contentEncoding === "base64" ? text.map((value) => btoa(encodeURI(value))) : text;
  }

  #object({ properties, required }: JsonObject, depth: number): fc.Arbitrary<unknown> {
    const needed: readonly string[] = Array.isArray(required) ? required : [];
    const all = isObject(properties) ? properties : {};
    // Some documents require what they don't describe.
    const names = [...new Set([...Object.keys(all), ...needed])]
      .filter((name) => needed.includes(name) || depth < SHALLOW);
    const members = Object.fromEntries(names.map((name) => [name, this.of(all[name], depth + 1)]));
    return fc.record(members, { requiredKeys: names.filter((name) => needed.includes(name)) });
  }
}
