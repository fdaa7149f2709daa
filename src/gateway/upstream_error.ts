/**
 * Why an upstream can't be reached or used, sorted, and never with a credential in it.
 *
 * @module
 */

/** What kept an upstream from answering. */
export type UpstreamFailure =
  /** Nothing accepts connections there, or the program can't be started. */
  | "refused"
  /** It said nothing for too long. */
  | "timeout"
  /** It wants other credentials (401). */
  | "unauthorized"
  /** Its credentials don't allow it (403). */
  | "forbidden"
  /** There is nothing under its URL, or its session is over (404). */
  | "not-found"
  /** It failed by itself (5xx). */
  | "upstream"
  /** It turned the request away in another way (any other status). */
  | "rejected"
  /** Its certificate or its TLS is not to be trusted. */
  | "tls"
  /** Its name has no address. */
  | "dns"
  /** The connection, the stream or the program ended. */
  | "closed"
  /** What it says is not MCP, or too much of it. */
  | "protocol";

/** What to do about each. */
const ADVICE: Readonly<Record<UpstreamFailure, string>> = {
  refused: "Start the upstream, or correct where it is: the connection was refused",
  timeout: "Give the upstream more time, or look why it hangs: it timed out",
  unauthorized: "Give the upstream valid credentials: it answered 401",
  forbidden: "Give the upstream credentials that allow this: it answered 403",
  "not-found": "Correct the upstream's URL, or begin a new session: it answered 404",
  upstream: "Look why the upstream failed: it answered with a server error",
  rejected: "Look why the upstream turned the request away",
  tls: "Give the upstream a certificate that is trusted here: TLS failed",
  dns: "Correct the upstream's host name: it has no address",
  closed: "Open a new session: the upstream closed the connection",
  protocol: "Let the upstream speak MCP: what it said can't be used",
};

/** Options for {@linkcode UpstreamError}. */
export interface UpstreamErrorInit {
  /** What to add to the message: the origin, a status, an exit code. Never a header, path or body. */
  readonly detail?: string;
  /** The HTTP status that told of it. */
  readonly status?: number;
  /** The system's own name for the failure, such as `ECONNREFUSED`. */
  readonly code?: string;
}

/**
 * Thrown when an upstream can't be reached, refuses, or ends. It says what kind of failure it is and
 * where, and holds no header, path, query, body or credential.
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
  /** What kept the upstream from answering. */
  readonly kind: UpstreamFailure;
  /** The HTTP status that told of it, if one did. */
  readonly status: number | undefined;
  /** The system's own name for the failure, if it has one. */
  readonly code: string | undefined;

  /** Makes an error of a kind. */
  constructor(kind: UpstreamFailure, { detail, status, code }: UpstreamErrorInit = {}) {
    super(detail === undefined ? ADVICE[kind] : `${ADVICE[kind]} (${detail})`);
    this.name = "UpstreamError";
    this.kind = kind;
    this.status = status;
    this.code = code;
  }
}

/** The kinds that a status alone tells; any other from 500 on is the upstream's own failure. */
const BY_STATUS: Readonly<Record<number, UpstreamFailure>> = {
  401: "unauthorized",
  403: "forbidden",
  404: "not-found",
  408: "timeout",
  410: "not-found",
  504: "timeout",
};

/** The error for a response that says nothing but its status. */
export function statusError(status: number, origin: string): UpstreamError {
  const kind = BY_STATUS[status] ?? (status >= 500 ? "upstream" : "rejected");
  return new UpstreamError(kind, { status, detail: `${status} from ${origin}` });
}

/** What the runtimes call each failure: codes of Node and Bun, words of Deno, first match counts. */
const BY_SIGN: readonly (readonly [UpstreamFailure, RegExp])[] = [
  [
    "tls",
    /CERT|SELF_SIGNED|UNABLE_TO_(?:VERIFY|GET)|ERR_TLS|ERR_SSL|EPROTO|invalid peer certificate|handshake/i,
  ],
  ["dns", /ENOTFOUND|EAI_|dns error|FailedToResolve|NameResolution|ENODATA/i],
  ["timeout", /ETIMEDOUT|UND_ERR_\w*TIMEOUT|TimeoutError|timed out/i],
  [
    "refused",
    /ECONNREFUSED|ConnectionRefused|connection refused|EHOSTUNREACH|ENETUNREACH|EACCES|ENOENT|FailedToOpenSocket/i,
  ],
];

/** The error for a `fetch` that failed, whatever the runtime calls it. */
export function fetchError(error: unknown, origin: string): UpstreamError {
  if (error instanceof UpstreamError) return error;
  const signs = signsOf(error);
  const kind = BY_SIGN.find(([, sign]) => signs.some((text) => sign.test(text)))?.[0] ?? "closed";
  // Only what looks like a code: a runtime's message may name the whole URL.
  const code = signs.find((text) => /^[A-Z][A-Za-z0-9_]{2,60}$/.test(text));
  return new UpstreamError(kind, { detail: origin, code });
}

/** The codes and messages of an error and of what caused it, codes first. */
function signsOf(error: unknown, depth = 0): string[] {
  if (typeof error !== "object" || error === null || depth > 4) return [];
  const { code, name, message, cause, errors } = error as Record<string, unknown>;
  const own = [code, message, name].filter((sign) => typeof sign === "string");
  const inner = Array.isArray(errors) ? errors.slice(0, 4) : [];
  const deeper = [cause, ...inner].flatMap((each) => signsOf(each, depth + 1));
  // The outermost error of a `fetch` says little: what caused it goes first.
  return [...deeper, ...own];
}
