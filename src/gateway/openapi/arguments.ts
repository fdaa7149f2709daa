/**
 * Writes the arguments of a call into the parts of an HTTP request, in the styles of OpenAPI
 * (3.1.1 §4.8.12, Style Values).
 *
 * @module
 */
import { isObject, quote } from "../../kit.ts";

/** Says what is wrong with an argument, so that a model can correct it. */
export class ArgumentError extends Error {}

/** Where a parameter stands in a request. */
export type ParameterPlace = "path" | "query" | "header" | "cookie";

/** A parameter of an operation. */
export interface ApiParameter {
  /** Its name in the request. */
  readonly name: string;
  /** Its name among the arguments. */
  readonly argument: string;
  readonly in: ParameterPlace;
  readonly required: boolean;
  readonly style: string;
  readonly explode: boolean;
  /** Whether its value is written as JSON. */
  readonly json: boolean;
}

type Pair = readonly [name: string, value: string];

/** The most pairs that one argument becomes. */
const MOST_PAIRS = 10_000;

/** Writes a value that stands for itself. */
function plain(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function encoded(text: string): string {
  try {
    return encodeURIComponent(text);
  } catch {
    throw new ArgumentError("Give text that is well-formed Unicode");
  }
}

function itemsOf(value: unknown): string[] {
  if (Array.isArray(value)) return value.map(plain);
  if (isObject(value)) return Object.entries(value).flatMap(([key, each]) => [key, plain(each)]);
  return [plain(value)];
}

function pairsOf(value: unknown): string[] {
  return isObject(value)
    ? Object.entries(value).map(([key, each]) => `${encoded(key)}=${encoded(plain(each))}`)
    : itemsOf(value).map(encoded);
}

/** Writes a parameter of the path: `simple`, `label` or `matrix`. */
export function pathText(parameter: ApiParameter, value: unknown): string {
  const { argument, name, style, explode, json } = parameter;
  if (json) return pathPart(argument, encoded(JSON.stringify(value)));
  const parts = isObject(value) && explode ? pairsOf(value) : itemsOf(value).map(encoded);
  // An empty part would address something else, such as a whole collection.
  if (itemsOf(value).join("") === "") {
    throw new ArgumentError(`Give ${quote(argument)} a value that isn't empty`);
  }
  if (style === "label") return `.${parts.join(explode ? "." : ",")}`;
  if (style !== "matrix") return pathPart(argument, parts.join(","));
  const key = encoded(name);
  if (!explode) return `;${key}=${parts.join(",")}`;
  return parts.map((part) => isObject(value) ? `;${part}` : `;${key}=${part}`).join("");
}

/** Refuses what a URL parser takes for the folder itself, or the one above. */
function pathPart(argument: string, part: string): string {
  if (part === "." || part === "..") {
    throw new ArgumentError(`Give ${quote(argument)} another value than ${quote(part)}`);
  }
  return part;
}

/** Writes a parameter of the query: `form`, `spaceDelimited`, `pipeDelimited` or `deepObject`. */
export function queryText(parameter: ApiParameter, value: unknown): string {
  const { name, json } = parameter;
  if (json) return `${encoded(name)}=${encoded(JSON.stringify(value))}`;
  return formText(name, value, parameter);
}

/** How the value of a form's member is written. */
export type FormStyle = Pick<ApiParameter, "style" | "explode">;

/** Writes a value as a pair of an encoded form, or several. */
export function formText(name: string, value: unknown, given: FormStyle): string {
  if (!isDelimited(value, given)) {
    return formPairs(name, value, given).map((pair) => pair.map(encoded).join("=")).join("&");
  }
  const separator = SEPARATORS[given.style];
  const items = itemsOf(value).map(encoded);
  return `${encoded(name)}=${items.join(separator === undefined ? "," : encoded(separator))}`;
}

/** Returns the pairs that a value is in a form. */
export function formPairs(name: string, value: unknown, given: FormStyle): readonly Pair[] {
  if (isDelimited(value, given)) {
    return [[name, itemsOf(value).join(SEPARATORS[given.style] ?? ",")]];
  }
  if (given.style === "deepObject") return deepPairs(name, value);
  if (isObject(value)) return Object.entries(value).map(([key, each]) => [key, plain(each)]);
  return itemsOf(value).map((item) => [name, item]);
}

/** Tells whether the items of a value are one text. */
function isDelimited(value: unknown, { style, explode }: FormStyle): boolean {
  return style !== "deepObject" && !explode && typeof value === "object" && value !== null;
}

const SEPARATORS: Readonly<Record<string, string>> = { spaceDelimited: " ", pipeDelimited: "|" };

/**
 * Writes a value with its place in brackets: `a[b]=1`, `a[]=1`, and `a[0][b]=1` for objects in arrays.
 */
function deepPairs(name: string, value: unknown, pairs: Pair[] = []): Pair[] {
  if (pairs.length > MOST_PAIRS) throw new ArgumentError(`Give ${quote(name)} fewer values`);
  if (Array.isArray(value)) {
    value.forEach((each, at) => {
      const isDeep = typeof each === "object" && each !== null;
      deepPairs(isDeep ? `${name}[${at}]` : `${name}[]`, each, pairs);
    });
  } else if (isObject(value)) {
    for (const [key, each] of Object.entries(value)) deepPairs(`${name}[${key}]`, each, pairs);
  } else {
    pairs.push([name, plain(value)]);
  }
  return pairs;
}

const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]{0,8192}$/;

/** Writes a parameter that is a header: `simple`. */
export function headerText({ argument, explode, json }: ApiParameter, value: unknown): string {
  const text = json
    ? JSON.stringify(value)
    : isObject(value) && explode
    ? Object.entries(value).map(([key, each]) => `${key}=${plain(each)}`).join(",")
    : itemsOf(value).join(",");
  if (HEADER_VALUE.test(text)) return text;
  throw new ArgumentError(`Give ${quote(argument)} characters that a header may have`);
}

/** Writes a parameter that is a cookie: `form`. */
export function cookieText({ name, json }: ApiParameter, value: unknown): string {
  return `${name}=${encoded(json ? JSON.stringify(value) : itemsOf(value).join(","))}`;
}
