/**
 * Reads and writes the context of a trace in `_meta`: `traceparent`, `tracestate` and `baggage`
 * (2026-07-28, Basic, `_meta`; W3C Trace Context; W3C Baggage).
 *
 * @module
 */
import type { Context, Link, SpanContext } from "@opentelemetry/api";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import { otel } from "./otel.ts";

/** What a client's context is used for. */
export type RemoteContext = "parent" | "link" | "ignore";

/** The keys that `_meta` may have without a prefix. */
const KEYS: readonly string[] = ["traceparent", "tracestate", "baggage"];
/** Characters of a value that are read: W3C asks for 512 of `tracestate` and 8,192 of `baggage`. */
const MOST = 8_192;

const FROM_META = {
  keys: (meta: JsonObject): string[] => KEYS.filter((key) => Object.hasOwn(meta, key)),
  get: (meta: JsonObject, key: string): string | undefined => {
    const name = key.toLowerCase();
    return KEYS.includes(name) && Object.hasOwn(meta, name) ? readable(meta[name]) : undefined;
  },
};

const FROM_HEADERS = {
  keys: (headers: Headers): string[] => KEYS.filter((key) => headers.has(key)),
  get: (headers: Headers, key: string): string | undefined => readable(headers.get(key)),
};

function readable(value: unknown): string | undefined {
  return typeof value === "string" && value.length <= MOST ? value : undefined;
}

/** Where a span belongs. */
export interface SpanPlace {
  readonly parent: Context;
  readonly links: Link[];
}

/**
 * Finds the parent of the span of a client's request: the span that the client names in `_meta`, with a
 * link to the current one, which is that of the HTTP request. A client that names none there may do so in
 * the headers of its HTTP request, if there is no current span.
 */
export function placeOf(params: JsonObject, request: Request, use: RemoteContext): SpanPlace {
  const { context, trace, propagation } = otel;
  const current = context.active();
  const here = trace.getSpanContext(current);
  if (use === "ignore") return { parent: current, links: [] };
  const { _meta: meta } = params;
  const named = isObject(meta) && meta["traceparent"] !== undefined
    ? propagation.extract(current, meta, FROM_META)
    : here === undefined
    ? propagation.extract(current, request.headers, FROM_HEADERS)
    : current;
  const there = trace.getSpanContext(named);
  if (there === undefined || isSame(there, here)) return { parent: current, links: [] };
  if (use === "link") return { parent: current, links: [{ context: there }] };
  return { parent: named, links: here === undefined ? [] : [{ context: here }] };
}

function isSame(a: SpanContext, b: SpanContext | undefined): boolean {
  return a.traceId === b?.traceId && a.spanId === b.spanId;
}

/** Finds the parent of the span of a request to an upstream: the current span, or else the client's. */
export function upstreamParent(params: JsonObject): Context {
  const { context, trace, propagation } = otel;
  const current = context.active();
  const { _meta: meta } = params;
  if (trace.getSpanContext(current) !== undefined || !isObject(meta)) return current;
  return propagation.extract(current, meta, FROM_META);
}

/** Returns parameters whose `_meta` has a context in place of the one that it had. */
export function withContext(params: JsonObject, context: Context): JsonObject {
  const carrier: Record<string, string> = {};
  otel.propagation.inject(context, carrier, {
    set(target, key, value) {
      const name = key.toLowerCase();
      if (KEYS.includes(name)) target[name] = value;
    },
  });
  // Nothing propagates: the client's own context passes unchanged
  if (carrier["traceparent"] === undefined) return params;
  const { _meta: meta } = params;
  const kept = Object.entries(isObject(meta) ? meta : {}).filter(([key]) => !KEYS.includes(key));
  return { ...params, _meta: { ...Object.fromEntries(kept), ...carrier } };
}
