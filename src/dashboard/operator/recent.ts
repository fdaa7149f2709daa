/**
 * Keeps the last calls and refusals of a node, so that an operator sees why they failed. Neither arguments nor
 * results are kept unless they are asked for.
 *
 * @module
 */
import type { McpEvent, RequestOutcome } from "../../../mod.ts";
import { clip, type FinishedCall, isObject, reportedMethod } from "../../kit.ts";
import { clientName, MOST_ID, shown } from "./texts.ts";
import type { RecentCall, RecentQuery, RecentRefusal } from "./types.ts";

/** The calls and the refusals that are kept. */
export const MOST_CALLS = 1_000;
export const MOST_REFUSALS = 500;
/** The rows of one answer. */
const MOST_FOUND = 50;
/** The characters of an error, and of arguments and a result. */
const MOST_ERROR = 300;
const MOST_RECORDED = 2_000;
/** The texts of arguments that are taken out of errors, and their least characters. */
const MOST_TEXTS = 100;
const LEAST_TEXT = 3;
const MOST_DEPTH = 8;

/** What is kept of calls besides what they are about. */
export interface RecordSettings {
  /** Whether arguments are kept. */
  readonly recordArguments: boolean;
  /** Whether results, and what tools say when they fail, are kept. */
  readonly recordResults: boolean;
  /** Takes secrets out of errors. */
  readonly redact: (text: string) => string;
}

/** What an outcome other than a result means, for people. */
const OUTCOMES: Readonly<Partial<Record<RequestOutcome, string>>> = {
  "cancelled": "The client cancelled it",
  "timeout": "It took longer than requests.timeoutMs or requests.maxTimeoutMs",
  "session-ended": "Its session ended",
  "shutdown": "The endpoint closed",
  "disconnected": "The client disconnected",
  "operator-cancelled": "An operator cancelled it",
};

/** The last calls and refusals. */
export class RecentActivity {
  readonly #calls: RecentCall[] = [];
  readonly #refusals: RecentRefusal[] = [];
  readonly #settings: RecordSettings;
  readonly #now: () => number;
  /** What was thrown in this turn: the call that it ended follows at once. */
  #thrown: unknown;

  /** Creates an empty collection. */
  constructor(now: () => number, settings: RecordSettings) {
    this.#now = now;
    this.#settings = settings;
  }

  /** Notes what was thrown. */
  noteError(error: unknown): void {
    this.#thrown = error;
    queueMicrotask(() => this.#thrown = undefined);
  }

  /** Keeps a call that is over. */
  addCall(
    call: FinishedCall,
    outcome: RequestOutcome,
    failed: boolean,
    response: string | undefined,
    ms: number | undefined,
  ): void {
    const { recordArguments, recordResults } = this.#settings;
    const { target, params, principal, client, session } = call;
    const answer = failed || outcome === "error" || recordResults ? answerOf(response) : undefined;
    const error = this.#errorOf(call, outcome, failed, answer);
    keep(this.#calls, MOST_CALLS, {
      at: this.#now(),
      request: call.serial,
      method: shown(reportedMethod(call)),
      tool: shown(target?.tool ?? target?.prompt ?? target?.resource),
      upstream: shown(call.upstream),
      principal: shown(principal.id, MOST_ID),
      issuer: shown(principal.issuer, MOST_ID),
      client: clientName(client.info),
      session: session?.name ?? "",
      outcome: failed ? "tool-error" : outcome,
      error,
      traceId: call.traceId ?? traceIdIn(params),
      ...ms !== undefined && { ms },
      ...recordArguments && params.arguments !== undefined && {
        arguments: this.#recorded(params.arguments),
      },
      ...recordResults && answer?.result !== undefined && { result: this.#recorded(answer.result) },
    });
  }

  /** Keeps a refusal. */
  addRefusal(event: Extract<McpEvent, { type: "refused" }>): void {
    const { reason, status, address = "", principal, issuer, method, tool, prompt, session } =
      event;
    keep(this.#refusals, MOST_REFUSALS, {
      at: this.#now(),
      reason,
      status,
      address: shown(address),
      principal: shown(principal, MOST_ID),
      issuer: shown(issuer, MOST_ID),
      method: shown(method),
      tool: shown(tool ?? prompt),
      session: session ?? "",
    });
  }

  /** Finds the last calls, the latest first. */
  calls(query: RecentQuery): readonly RecentCall[] {
    if (query.reason !== undefined) return [];
    return latest(this.#calls, (call) => matches(call, query));
  }

  /** Finds the last refusals, the latest first. */
  refusals(query: RecentQuery): readonly RecentRefusal[] {
    return latest(
      this.#refusals,
      (refusal) =>
        (query.reason === undefined || refusal.reason === query.reason) &&
        query.request === undefined && query.upstream === undefined && matches(refusal, query),
    );
  }

  #errorOf(
    { params }: FinishedCall,
    outcome: RequestOutcome,
    failed: boolean,
    answer: CallAnswer | undefined,
  ): string {
    if (failed) {
      return this.#settings.recordResults ? this.#safe(toolText(answer?.result), params) : "";
    }
    if (outcome !== "error") return OUTCOMES[outcome] ?? "";
    const { code, message } = answer?.error ?? {};
    const thrown = this.#thrown;
    const cause = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : "";
    const said = typeof message === "string" ? message : "";
    const text = cause !== "" && !cause.endsWith(said) ? `${said} (${cause})` : said;
    return this.#safe(typeof code === "number" ? `${code} ${text}` : text, params);
  }

  /** Takes secrets out of a text, and what the arguments of the call are. */
  #safe(text: string, params: FinishedCall["params"]): string {
    let safe = this.#settings.redact(text);
    if (!this.#settings.recordArguments) {
      for (const value of textsIn(params.arguments)) safe = safe.replaceAll(value, "…");
    }
    return shown(safe, MOST_ERROR);
  }

  #recorded(value: unknown): string {
    return shown(
      clip(this.#settings.redact(JSON.stringify(value) ?? ""), MOST_RECORDED),
      MOST_RECORDED,
    );
  }
}

/** A JSON-RPC response. */
interface CallAnswer {
  readonly result?: unknown;
  readonly error?: { readonly code?: unknown; readonly message?: unknown };
}

function answerOf(response: string | undefined): CallAnswer | undefined {
  if (response === undefined) return undefined;
  const answer: unknown = JSON.parse(response);
  return isObject(answer) ? answer : undefined;
}

/** Returns what a tool says that failed. */
function toolText(result: unknown): string {
  const content = isObject(result) && Array.isArray(result.content) ? result.content : [];
  return content.flatMap((block: unknown) =>
    isObject(block) && typeof block.text === "string" ? [block.text] : []
  ).join(" ");
}

/** Finds the texts in arguments, the longest first: a short one may be a part of another. */
function textsIn(value: unknown): readonly string[] {
  const found: string[] = [];
  const look = (value: unknown, depth: number): void => {
    if (found.length >= MOST_TEXTS || depth > MOST_DEPTH) return;
    if (typeof value === "string" || typeof value === "number") {
      const text = String(value);
      if (text.length >= LEAST_TEXT) found.push(text);
    } else if (typeof value === "object" && value !== null) {
      for (const each of Object.values(value)) look(each, depth + 1);
    }
  };
  look(value, 0);
  return found.sort((a, b) => b.length - a.length);
}

/** Returns the id of the trace that a client names, without telemetry. */
function traceIdIn({ _meta: meta }: FinishedCall["params"]): string {
  const parent = isObject(meta) ? meta["traceparent"] : undefined;
  const [, id = ""] =
    /^[0-9a-f]{2}-([0-9a-f]{32})-/.exec(typeof parent === "string" ? parent : "") ??
      [];
  return id;
}

function matches(
  row: Pick<RecentCall, "principal" | "issuer" | "session" | "tool" | "method"> & {
    readonly request?: number;
    readonly upstream?: string;
  },
  query: RecentQuery,
): boolean {
  return (["principal", "issuer", "session", "tool", "method", "upstream", "request"] as const)
    .every((name) => query[name] === undefined || row[name] === query[name]);
}

function latest<T>(rows: readonly T[], isWanted: (row: T) => boolean): T[] {
  const found: T[] = [];
  for (let at = rows.length - 1; at >= 0 && found.length < MOST_FOUND; at--) {
    const row = rows[at];
    if (row !== undefined && isWanted(row)) found.push(row);
  }
  return found;
}

function keep<T>(rows: T[], most: number, row: T): void {
  rows.push(row);
  // Many at once: to move all rows for each would take longer than the rest.
  if (rows.length >= most * 1.25) rows.splice(0, rows.length - most);
}
