/**
 * Connects to servers once, to find out which of them work.
 *
 * @module
 */
import type { OpenInit, Upstream } from "../../gateway/mod.ts";
import { UpstreamError, type UpstreamFailure } from "../../gateway/shared/upstream_error.ts";
import { type JsonObject, McpError, type Principal } from "../../../mod.ts";
import { systemClock } from "../../kit.ts";
import type { Backend } from "../serve/backend.ts";
import type { ServerEntry } from "../config/schema.ts";
import { messageOf } from "../errors.ts";
import { causeIn } from "./cause.ts";

/** Servers that are tried at the same time. */
const MAX_TRIALS = 8;
/** Time for one trial, in milliseconds. */
export const TRIAL_MS = 30_000;
/** Lines of a program's output that are kept, to find the cause of a failure. */
const MAX_LINES = 200;

/** The result of connecting to one server. */
export interface Trial {
  readonly name: string;
  readonly ok: boolean;
  readonly text: string;
  /** Why it could not be reached, if that is known. */
  readonly failure?: UpstreamFailure | undefined;
  /** What it says about its extensions. */
  readonly extensions?: unknown;
}

/** Options for {@linkcode tryServers}. */
export interface TrialInit {
  readonly servers: Iterable<readonly [string, ServerEntry]>;
  readonly backend: Pick<Backend, "upstream">;
  /** Called with each result when it is known. */
  readonly report: (trial: Trial) => void;
  /** Ends the trials; those that it ends aren't reported. */
  readonly signal?: AbortSignal;
}

/** Connects to servers once, a few at a time. Never rejects. */
export async function tryServers({ servers, backend, report, signal }: TrialInit): Promise<void> {
  const queue = [...servers];
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      if (signal?.aborted) return;
      const [name, entry] = next;
      const trial = await tryServer(name, backend.upstream(entry), signal);
      if (!signal?.aborted) report({ name, ...trial });
    }
  };
  await Promise.all(Array.from({ length: MAX_TRIALS }, work));
}

async function tryServer(
  name: string,
  upstream: Upstream,
  signal: AbortSignal | undefined,
): Promise<Omit<Trial, "name">> {
  const start = performance.now();
  const limit = new AbortController();
  const stop = (): void => limit.abort(signal?.reason);
  signal?.addEventListener("abort", stop);
  const timer = setTimeout(
    () => limit.abort(new Error(`Check why it hangs: no answer in ${TRIAL_MS / 1_000} seconds`)),
    TRIAL_MS,
  );
  const output: string[] = [];
  try {
    const session = await upstream.open(openInit(name, limit.signal, output));
    try {
      const { serverInfo, protocolVersion, capabilities } = session.facts;
      const tools = capabilities.tools === undefined ? "no tools" : await session.request({
        method: "tools/list",
        params: {},
        signal: limit.signal,
        principal: PRINCIPAL,
        request: REQUEST,
        notify() {},
        ask,
      }).then(countTools);
      const ms = Math.round(performance.now() - start);
      const title = `${serverInfo.name} ${serverInfo.version}`;
      const { extensions } = capabilities;
      return { ok: true, text: `${title}, ${protocolVersion}, ${tools}, ${ms} ms`, extensions };
    } finally {
      await session.close();
    }
  } catch (error) {
    const failure = error instanceof UpstreamError ? error.kind : undefined;
    const text = [adviceOn(error, upstream), ...causeIn(output)].join(" | ");
    return { ok: false, text, failure };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  }
}

/** Returns what to do about a failure. */
function adviceOn(error: unknown, { kind }: Upstream): string {
  // The gateway's own advice is to open a new session, which would end like this one
  if (kind === "stdio" && error instanceof UpstreamError && error.kind === "closed") {
    return `Run this program by hand to see why it ends at once: ${error.detail ?? "it ended"}`;
  }
  return messageOf(error);
}

/** Stand for the client's request and its sender, which a session is opened for. */
export const REQUEST: Request = new Request("http://localhost/");
export const PRINCIPAL: Principal = { id: "check" };

/** Returns what a session is opened with. What a program writes is added to `output`. */
export function openInit(name: string, signal: AbortSignal, output: string[]): OpenInit {
  return {
    name,
    client: { capabilities: {} },
    principal: PRINCIPAL,
    request: REQUEST,
    downstream: { notified() {}, ask, ended() {} },
    signal,
    clock: systemClock,
    report(event) {
      // A program that ends at once is started twice, and says the same twice
      if (event.type !== "upstream-output" || output.includes(event.text)) return;
      output.push(event.text);
      if (output.length > MAX_LINES) output.shift();
    },
  };
}

/** Refuses the questions of a server. */
export function ask(): Promise<JsonObject> {
  return Promise.reject(new McpError(-32601, "There is no client to ask"));
}

function countTools({ tools, nextCursor }: JsonObject): string {
  const count = Array.isArray(tools) ? tools.length : 0;
  const more = nextCursor === undefined ? "" : " or more";
  return count === 1 && more === "" ? "1 tool" : `${count}${more} tools`;
}
