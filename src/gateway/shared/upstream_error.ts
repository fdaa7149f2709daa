/**
 * Classifies why an upstream can't be reached or used, without any credential in the error.
 *
 * @module
 */

/** Names what kept an upstream from answering. */
export type UpstreamFailure =
  /** Nothing accepts connections there, or the program can't be started. */
  | "refused"
  /** It didn't answer in time. */
  | "timeout"
  /** It rejected the credentials (401). */
  | "unauthorized"
  /** Its credentials don't allow the request (403). */
  | "forbidden"
  /** Its URL doesn't exist, or its session has ended (404). */
  | "not-found"
  /** It failed with a server error (5xx). */
  | "upstream"
  /** It rejected the request with any other status. */
  | "rejected"
  /** Its TLS certificate or handshake isn't valid. */
  | "tls"
  /** Its host name doesn't resolve. */
  | "dns"
  /** The connection, the stream or the program ended. */
  | "closed"
  /** Its answer isn't valid MCP, or is too large. */
  | "protocol";

/** Advises what to do about each failure. */
const ADVICE: Readonly<Record<UpstreamFailure, string>> = {
  refused: "Start the upstream or correct its address: the connection was refused",
  timeout: "Raise the time limit or check why the upstream hangs: it timed out",
  unauthorized: "Give the upstream valid credentials: it answered 401",
  forbidden: "Give the upstream credentials that allow this: it answered 403",
  "not-found": "Correct the upstream's URL or open a new session: it answered 404",
  upstream: "Check why the upstream failed: it answered with a server error",
  rejected: "Check why the upstream rejected the request",
  tls: "Give the upstream a certificate that is trusted here: TLS failed",
  dns: "Correct the upstream's host name: it doesn't resolve",
  closed: "Open a new session: the upstream closed the connection",
  protocol: "Correct the upstream: its answer isn't valid MCP",
};

/** Options for {@linkcode UpstreamError}. */
export interface UpstreamErrorInit {
  /** Adds an origin, a status or an exit code to the message. Never a header, path or body. */
  readonly detail?: string;
  /** Replaces the kind's own advice by one for the upstream at hand. */
  readonly advice?: string;
  /** The HTTP status, if the upstream answered with one. */
  readonly status?: number;
  /** The system's error code, such as `ECONNREFUSED`. */
  readonly code?: string;
  /** Whether the request can't have reached the upstream, so that it may be sent again. */
  readonly unsent?: boolean;
}

/**
 * Reports that an upstream can't be reached, rejects a request, or ended. Says the kind of failure
 * and the origin, or the program; holds no header, path of a URL, query, body or credential.
 *
 * @example
 * ```ts
 * import { UpstreamError } from "./upstream_error.ts";
 *
 * const error = new UpstreamError("dns", { detail: "https://mcp.example" });
 * console.assert(error.kind === "dns");
 * ```
 */
export class UpstreamError extends Error {
  /** The kind of failure. */
  readonly kind: UpstreamFailure;
  /** The HTTP status, if the upstream answered with one. */
  readonly status: number | undefined;
  /** The system's error code, if there is one. */
  readonly code: string | undefined;
  /** The detail in the message, if there is one. */
  readonly detail: string | undefined;
  /** Whether the request can't have reached the upstream, so that it may be sent again. */
  readonly unsent: boolean;

  /** Creates an error of a kind. */
  constructor(kind: UpstreamFailure, init: UpstreamErrorInit = {}) {
    const { detail, advice = ADVICE[kind], status, code, unsent = false } = init;
    super(detail === undefined ? advice : `${advice} (${detail})`);
    this.name = "UpstreamError";
    this.kind = kind;
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.unsent = unsent;
  }
}

/** Maps statuses to kinds; any other status from 500 on is the kind `"upstream"`. */
const BY_STATUS: Readonly<Record<number, UpstreamFailure>> = {
  401: "unauthorized",
  403: "forbidden",
  404: "not-found",
  408: "timeout",
  410: "not-found",
  504: "timeout",
};

/** Creates the error for a response of which only the status is known. */
export function statusError(status: number, origin: string): UpstreamError {
  const kind = BY_STATUS[status] ?? (status >= 500 ? "upstream" : "rejected");
  return new UpstreamError(kind, { status, detail: `${status} from ${origin}` });
}

/** Recognizes failures by the codes of Node and Bun and the messages of Deno; the first match counts. */
const BY_SIGN: readonly (readonly [UpstreamFailure, RegExp])[] = [
  [
    "tls",
    /CERT|SELF_SIGNED|UNABLE_TO_(?:VERIFY|GET)|ERR_TLS|ERR_SSL|EPROTO|invalid peer certificate|handshake|SSL routines|InvalidContentType/i,
  ],
  ["dns", /ENOTFOUND|EAI_|dns error|FailedToResolve|NameResolution|ENODATA/i],
  ["timeout", /ETIMEDOUT|UND_ERR_\w*TIMEOUT|TimeoutError|timed out/i],
  [
    "refused",
    /ECONNREFUSED|ConnectionRefused|connection refused|EHOSTUNREACH|ENETUNREACH|EACCES|ENOENT|FailedToOpenSocket/i,
  ],
];

/** Creates the error for a `fetch` that failed, on any runtime. */
export function fetchError(error: unknown, origin: string): UpstreamError {
  if (error instanceof UpstreamError) return error;
  const signs = signsOf(error);
  const kind = BY_SIGN.find(([, sign]) => signs.some((text) => sign.test(text)))?.[0] ?? "closed";
  // Only a code is kept: a runtime's message may contain the whole URL.
  const code = signs.find((text) => /^[A-Z][A-Za-z0-9_]{2,60}$/.test(text));
  return new UpstreamError(kind, { detail: origin, code });
}

/** Collects the codes and messages of an error and its causes, codes first. */
function signsOf(error: unknown, depth = 0): string[] {
  if (typeof error !== "object" || error === null || depth > 4) return [];
  const { code, name, message, cause, errors } = error as Record<string, unknown>;
  const own = [code, message, name].filter((sign) => typeof sign === "string");
  const inner = Array.isArray(errors) ? errors.slice(0, 4) : [];
  const deeper = [cause, ...inner].flatMap((each) => signsOf(each, depth + 1));
  // The outermost error of a `fetch` says little: its cause goes first.
  return [...deeper, ...own];
}
