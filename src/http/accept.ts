/**
 * Parses the Accept header (RFC 9110 §12.5.1).
 *
 * @module
 */

/** The media types of a response that the client accepts. */
export interface Accepts {
  /** Whether `application/json` is accepted. */
  readonly json: boolean;
  /** Whether `text/event-stream` is accepted. */
  readonly sse: boolean;
}

interface Range {
  /** In lower case. */
  readonly type: string;
  readonly weight: number;
}

/** Accepts both media types. */
export const EITHER_FORM: Accepts = { json: true, sse: true };
const JSON_ONLY: Accepts = { json: true, sse: false };
const SSE_ONLY: Accepts = { json: false, sse: true };

/** Parses an Accept header. A missing or empty one accepts everything. */
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
