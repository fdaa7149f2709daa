/**
 * Sends single HTTP requests as clients do, within bounds, and keeps what came back.
 *
 * @module
 */
import type { JsonObject } from "../../../mod.ts";
import { isObject } from "../../kit.ts";
import { messageOf } from "../errors.ts";

/** The most bytes of an answer that are read. */
const MOST_BYTES = 4 * 1024 * 1024;

/** The names of programs that stand before servers, as their `Server` headers begin. */
const PROXIES =
  /^(nginx|openresty|caddy|cloudflare|envoy|istio-envoy|traefik|haproxy|apache|awselb)/i;

/** What came back from a request. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The JSON-RPC message that answers the request, from JSON or from a stream. */
  readonly message: JsonObject | undefined;
  /** Whether the answer is a stream of events. */
  readonly streams: boolean;
  /** When the first event came, and when the answer ended, in milliseconds after the request. */
  readonly firstMs: number;
  readonly endMs: number;
  /** The number of messages on the stream. */
  readonly events: number;
}

/** Why there is no answer. */
export interface NoHttpAnswer {
  readonly status: undefined;
  /** The code of the system's error, such as `ECONNREFUSED`; `"timeout"` if it took too long. */
  readonly code: string;
  readonly message: string;
}

/** How to send. */
export interface ProbeInit {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly timeoutMs: number;
  /** Whether to let a stream go as soon as its head is there. */
  readonly headOnly?: boolean;
}

/** Sends a request, and reads the whole answer. Follows no redirect. */
export async function send(url: string | URL, init: ProbeInit): Promise<HttpAnswer | NoHttpAnswer> {
  const { method = "GET", headers, body, timeoutMs, headOnly = false } = init;
  const started = performance.now();
  const stop = new AbortController();
  const late = setTimeout(() => stop.abort(), timeoutMs);
  try {
    const response = await fetch(url, {
      method,
      redirect: "manual",
      signal: stop.signal,
      ...headers !== undefined && { headers },
      ...body !== undefined && { body },
    });
    const streams = isType(response.headers, "text/event-stream");
    if (headOnly && streams) {
      await response.body?.cancel().catch(() => {});
      const endMs = performance.now() - started;
      return {
        ...headOf(response),
        streams,
        text: "",
        message: undefined,
        firstMs: endMs,
        endMs,
        events: 0,
      };
    }
    return { ...headOf(response), streams, ...await read(response, streams, started) };
  } catch (error) {
    if (stop.signal.aborted) {
      return {
        status: undefined,
        code: "timeout",
        message: `No answer within ${timeoutMs / 1_000} s`,
      };
    }
    return { status: undefined, code: codeOf(error), message: messageOf(causeOf(error)) };
  } finally {
    clearTimeout(late);
  }
}

/** Tells whether an answer has a media type. */
export function isType(headers: Headers, type: string): boolean {
  return headers.get("content-type")?.split(";")[0]?.trim().toLowerCase() === type;
}

/** Returns the name of the proxy that wrote an answer, if it says so and the answer is not JSON-RPC. */
export function proxyOf({ headers, message }: HttpAnswer): string | undefined {
  return message === undefined ? frontOf(headers) : undefined;
}

/** Returns the name of a proxy that an answer has passed, if it says so (RFC 9110, 7.6.3 and 10.2.4). */
export function frontOf(headers: Headers): string | undefined {
  const [name] = PROXIES.exec(headers.get("server") ?? "") ?? [];
  if (name !== undefined) return name;
  if (headers.has("cf-ray")) return "cloudflare";
  return /^\S+\s+([\w.-]{1,40})/.exec(headers.get("via") ?? "")?.[1];
}

function headOf({ status, headers }: Response) {
  return { status, headers };
}

async function read(response: Response, streams: boolean, started: number) {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  let firstMs: number | undefined;
  while (reader !== undefined && text.length < MOST_BYTES) {
    const { done, value } = await reader.read();
    if (done) break;
    text += value;
    if (!streams || /^data:/m.test(text)) firstMs ??= performance.now() - started;
    // The answer is the last message: what keeps the stream open after it is not waited for
    if (streams && eventsIn(text).some(isAnswer)) break;
  }
  await reader?.cancel().catch(() => {});
  const endMs = performance.now() - started;
  const messages = streams ? eventsIn(text) : [parsedObject(text)];
  const message = messages.findLast(isAnswer);
  return { text, message, firstMs: firstMs ?? endMs, endMs, events: messages.length };
}

function eventsIn(text: string): (JsonObject | undefined)[] {
  return text.replaceAll("\r\n", "\n").split("\n\n").slice(0, -1).flatMap((block) => {
    const data = block.split("\n").flatMap((line) =>
      line.startsWith("data:") ? [line.slice(5).trimStart()] : []
    );
    return data.length === 0 || data.join("") === "" ? [] : [parsedObject(data.join("\n"))];
  });
}

/** Returns the object of a JSON text, or `undefined`. */
export function parsedObject(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isAnswer(message: JsonObject | undefined): message is JsonObject {
  return message?.["jsonrpc"] === "2.0" && ("result" in message || "error" in message);
}

/** Returns the innermost error: `fetch` hides the system's own. */
function causeOf(error: unknown): unknown {
  let cause = error;
  for (let depth = 0; depth < 5; depth++) {
    const { cause: inner, errors } = Object(cause);
    if (inner !== undefined) cause = inner;
    else if (Array.isArray(errors) && errors.length > 0) cause = errors[0];
    else break;
  }
  return cause;
}

function codeOf(error: unknown): string {
  for (const one of [causeOf(error), error]) {
    const { code, name } = Object(one);
    if (typeof code === "string") return code;
    if (typeof name === "string" && /^(NotFound|ConnectionRefused|InvalidData)$/.test(name)) {
      return name;
    }
  }
  return messageOf(causeOf(error));
}
