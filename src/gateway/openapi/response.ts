/**
 * Converts an API's answer to the result of a tool: data, a text, or a file. An answer with the status of an
 * error is a result too, from which a model can see what to change.
 *
 * @module
 */
import type { JsonObject } from "../../../mod.ts";
import { clip, isObject, nestsDeeper, toBase64, wrapData } from "../../kit.ts";
import { readBytes } from "./document.ts";
import type { ApiOperation } from "./operations.ts";

/** The most characters of an error's body. */
const MOST_ERROR = 4000;
/** The most levels of an answer's JSON. */
const MOST_DEPTH = 512;
/** Shorter credentials aren't replaced: they may be part of any text. */
const SHORTEST_SECRET = 6;

/** Options for {@linkcode resultOf}. */
export interface ResultOptions {
  readonly operation: ApiOperation;
  /** The most bytes of a body. */
  readonly mostBytes: number;
  /** The credentials of the request, which no result may have. */
  readonly secrets: readonly string[];
  /** Says what is wrong with an answer's data; `undefined` if it fits the output schema. */
  readonly problemOf: (data: unknown) => Promise<string | undefined>;
}

/** Returns the result of a call that failed, with what to do about it. */
export function failure(text: string): JsonObject {
  return { content: [{ type: "text", text }], isError: true };
}

/** Converts an answer. Reads its body within bounds. */
export async function resultOf(response: Response, options: ResultOptions): Promise<JsonObject> {
  const { mostBytes, secrets } = options;
  const status = `${response.status} ${response.statusText}`.trim();
  const bytes = await readBytes(response, mostBytes);
  if (!response.ok) return failure(errorText(response, status, bytes, secrets));
  if (bytes === undefined) {
    return failure(
      `The API answered ${status} with more than ${mostBytes} bytes. It did what was asked; ` +
        "ask for less at once, such as a smaller page or fewer fields",
    );
  }
  return await dataOf(response, { ...options, status, bytes });
}

interface ReadAnswer extends ResultOptions {
  readonly status: string;
  readonly bytes: Uint8Array;
}

async function dataOf({ headers }: Response, answer: ReadAnswer): Promise<JsonObject> {
  const { status, bytes, secrets } = answer;
  const type = mediaTypeOf(headers);
  if (bytes.byteLength === 0) return asText(status, answer);
  if (isJson(type)) {
    const text = withoutSecrets(decoded(bytes), secrets);
    const data = parsedJson(text);
    return data === undefined
      ? asText(text, answer)
      : await structured(data.value, text, headers, answer);
  }
  if (type.startsWith("text/") || TEXTS.test(type)) {
    return asText(withoutSecrets(decoded(bytes), secrets), answer);
  }
  return asFile(headers, type, answer);
}

/** Returns a text, of a tool that doesn't promise data. */
function asText(text: string, { operation, status }: ReadAnswer): JsonObject {
  if (operation.output === undefined) return { content: [{ type: "text", text }] };
  return failure(
    `The API did what was asked (${status}), but not with the data that its document promises: ` +
      clip(text, MOST_ERROR),
  );
}

async function structured(
  data: unknown,
  text: string,
  headers: Headers,
  { operation, status, problemOf }: ReadAnswer,
): Promise<JsonObject> {
  const problem = operation.output === undefined ? undefined : await problemOf(data);
  if (problem !== undefined) {
    return failure(
      `The API did what was asked (${status}), but its data isn't as its document says ` +
        `(${clip(problem, 500)}): ${clip(text, MOST_ERROR)}`,
    );
  }
  const wraps = operation.output === undefined ? !isObject(data) : operation.wraps;
  const link = headers.get("link");
  return {
    content: [
      { type: "text", text },
      // Where the next page is, which the model may ask for.
      ...link !== null && /\brel="?next\b/.test(link)
        ? [{ type: "text", text: `Link: ${clip(link, MOST_ERROR)}` }]
        : [],
    ],
    structuredContent: wraps ? wrapData(data) : data,
  };
}

function asFile(
  headers: Headers,
  type: string,
  { operation, bytes, status }: ReadAnswer,
): JsonObject {
  if (operation.output !== undefined) {
    return failure(`The API did what was asked (${status}), but answered with a file: ${type}`);
  }
  const mimeType = type || "application/octet-stream";
  const data = toBase64(bytes);
  if (/^image\/(?:png|jpeg|gif|webp)$/.test(mimeType)) {
    return { content: [{ type: "image", data, mimeType }] };
  }
  if (/^audio\/(?:mpeg|wav|ogg|mp4|webm)$/.test(mimeType)) {
    return { content: [{ type: "audio", data, mimeType }] };
  }
  const uri = `openapi://${operation.name.toLowerCase()}/${encodeURIComponent(fileName(headers))}`;
  return { content: [{ type: "resource", resource: { uri, mimeType, blob: data } }] };
}

function fileName(headers: Headers): string {
  const [, quoted, plain] = /filename="?(?:([^";]+)"|([^";\s]+))/i.exec(
    headers.get("content-disposition") ?? "",
  ) ?? [];
  return (quoted ?? plain ?? "file").toWellFormed().slice(0, 200);
}

function errorText(
  response: Response,
  status: string,
  bytes: Uint8Array | undefined,
  secrets: readonly string[],
): string {
  const { headers } = response;
  const type = mediaTypeOf(headers);
  const isText = isJson(type) || type.startsWith("text/") || TEXTS.test(type) || type === "";
  const body = bytes === undefined ? "" : isText ? decoded(bytes).trim() : "";
  const location = response.status < 400 ? headers.get("location") : null;
  if (location !== null) {
    const to = clip(withoutSecrets(location, secrets), MOST_ERROR);
    return `The API answered ${status}. It points to another address, which isn't followed: ${to}`;
  }
  const detail = body === "" ? "" : `: ${clip(withoutSecrets(body, secrets), MOST_ERROR)}`;
  return `The API answered ${status}${adviceOn(response, secrets.length > 0)}${detail}`;
}

/** Says what a status means to who called, where its own words don't. */
function adviceOn({ status, headers }: Response, hadCredentials: boolean): string {
  const wait = headers.get("retry-after");
  if (status === 401 && !hadCredentials) {
    return " (the gateway sent none of the document's credentials)";
  }
  if (status === 401) return " (the gateway's credentials were refused)";
  if (status === 403) return " (the gateway's credentials don't allow this)";
  if (wait !== null && /^[\w ,:]{1,40}$/.test(wait)) {
    return ` (try again after ${wait}${/^\d+$/.test(wait) ? " seconds" : ""})`;
  }
  return "";
}

const TEXTS =
  /^application\/(?:(?:.+\+)?xml|(?:x-)?yaml|x-ndjson|javascript|graphql|x-www-form-urlencoded)$/;

function isJson(type: string): boolean {
  return type === "application/json" || type.endsWith("+json");
}

function mediaTypeOf(headers: Headers): string {
  const type = (headers.get("content-type") ?? "").split(";")[0] ?? "";
  return /^[\w!#$&^.+*-]+\/[\w!#$&^.+*-]+$/.test(type.trim()) ? type.trim().toLowerCase() : "";
}

function decoded(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function parsedJson(text: string): { readonly value: unknown } | undefined {
  try {
    return nestsDeeper(text, MOST_DEPTH) ? undefined : { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

/** Replaces credentials in a text: an API may repeat what it was sent. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  let shown = text;
  for (const secret of secrets) {
    if (secret.length >= SHORTEST_SECRET) shown = shown.replaceAll(secret, "[secret]");
  }
  return shown;
}
