/**
 * Implements the Accept gate: the client must accept a media type that the endpoint can send (RFC 9110
 * §12.5.1).
 *
 * @module
 */
import { ErrorCode } from "../../protocol/errors.ts";
import { HeaderName } from "../../protocol/headers.ts";
import { type Accepts, EITHER_FORM, type Inbound } from "../inbound.ts";
import { type Refusal, refusal } from "../reply.ts";

interface Range {
  /** In lower case. */
  readonly type: string;
  readonly weight: number;
}

const JSON_ONLY: Accepts = { json: true, sse: false };
const SSE_ONLY: Accepts = { json: false, sse: true };

/**
 * Fills in the media types that the client accepts. Refuses a POST that accepts neither JSON nor SSE,
 * and a GET that doesn't accept SSE.
 */
export function checkAccept(inbound: Inbound): Refusal | undefined {
  const accepts = inbound.accepts = parseAccept(inbound.header(HeaderName.Accept));
  const isPost = inbound.method === "POST";
  if (accepts.sse || (accepts.json && isPost)) return undefined;
  const types = isPost ? "application/json, text/event-stream" : "text/event-stream";
  return refusal({
    status: 406,
    code: ErrorCode.Refused,
    message: `Send the header Accept: ${types}`,
    reason: "accept",
  });
}

/** Reads an Accept header. Without one, or with an empty one, everything is accepted. */
export function parseAccept(value: string | null): Accepts {
  switch (value) {
    case null:
    case "":
    case "*/*":
    case "application/json, text/event-stream":
    case "text/event-stream, application/json":
    case "application/json,text/event-stream":
      return EITHER_FORM;
    case "application/json":
      return JSON_ONLY;
    case "text/event-stream":
      return SSE_ONLY;
  }
  const ranges = splitUnquoted(value, ",").map(parseRange).filter(({ type }) => type !== "");
  if (ranges.length === 0) return EITHER_FORM;
  return {
    json: weigh(ranges, "application/json", "application/*") > 0,
    sse: weigh(ranges, "text/event-stream", "text/*") > 0,
  };
}

/** Finds the weight of a media type: that of the most precise range that matches it, else 0. */
function weigh(ranges: readonly Range[], type: string, group: string): number {
  const byPrecision = [type, group, "*/*"];
  for (const name of byPrecision) {
    const weights = ranges.filter((range) => range.type === name).map(({ weight }) => weight);
    if (weights.length > 0) return Math.max(...weights);
  }
  return 0;
}

function parseRange(text: string): Range {
  const [name = "", ...parameters] = splitUnquoted(text, ";");
  let weight = 1;
  for (const parameter of parameters) {
    const [key = "", value = ""] = parameter.split("=", 2);
    if (key.trim().toLowerCase() !== "q") continue;
    const given = Number(value.trim() || NaN);
    if (!Number.isNaN(given)) weight = given;
    break;
  }
  const type = name.trim().toLowerCase();
  return { type: type === "*" ? "*/*" : type, weight };
}

/** Splits at a separator outside quoted strings. */
function splitUnquoted(text: string, separator: string): string[] {
  if (!text.includes('"')) return text.split(separator);
  const parts: string[] = [];
  let start = 0;
  let inQuotes = false;
  for (let i = 0; i < text.length; i++) {
    const char = text.charAt(i);
    if (char === '"') inQuotes = !inQuotes;
    else if (char === "\\" && inQuotes) i++;
    else if (char === separator && !inQuotes) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  parts.push(text.slice(start));
  return parts;
}
