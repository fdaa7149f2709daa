/**
 * Connects to every server of a configuration once.
 *
 * @module
 */
import { systemClock } from "../internal/clock.ts";
import { McpError } from "../protocol/errors.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { OpenInit, Upstream } from "../gateway/types.ts";
import { messageOf } from "./errors.ts";
import type { Config } from "./config_schema.ts";
import type { Backend } from "./server.ts";
import { enabledServers } from "./settings.ts";

/** What came of one server. */
export interface Trial {
  readonly name: string;
  readonly ok: boolean;
  readonly text: string;
}

/** How many are tried at a time. */
const AT_ONCE = 8;
/** How long one may take, in milliseconds. */
const LONGEST_MS = 30_000;
/** How many of a program's last words are shown. */
const MOST_LINES = 3;

/** Tries all servers, and tells of each as soon as it is known. */
export async function tryServers(
  config: Config,
  backend: Backend,
  tell: (trial: Trial) => void,
): Promise<void> {
  const queue = [...enabledServers(config)];
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [name, entry] = next;
      tell({ name, ...await tryOne(name, backend.upstream(entry)) });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

async function tryOne(name: string, upstream: Upstream): Promise<Omit<Trial, "name">> {
  const start = performance.now();
  const limit = new AbortController();
  const timer = setTimeout(
    () => limit.abort(new Error(`It took longer than ${LONGEST_MS / 1_000} seconds`)),
    LONGEST_MS,
  );
  const said: string[] = [];
  try {
    const session = await upstream.open(openInit(name, limit.signal, said));
    try {
      const { serverInfo, protocolVersion, capabilities } = session.facts;
      const tools = capabilities.tools === undefined ? "no tools" : await session.request({
        method: "tools/list",
        params: {},
        signal: limit.signal,
        request: REQUEST,
        notify() {},
        ask,
      }).then(countTools);
      const ms = Math.round(performance.now() - start);
      const title = `${serverInfo.name} ${serverInfo.version}`;
      return { ok: true, text: `${title}, ${protocolVersion}, ${tools}, ${ms} ms` };
    } finally {
      await session.close();
    }
  } catch (error) {
    return { ok: false, text: [messageOf(error), ...said].join(" | ") };
  } finally {
    clearTimeout(timer);
  }
}

/** The request in whose course a session begins; here nobody sent one. */
const REQUEST = new Request("http://localhost/");

function openInit(name: string, signal: AbortSignal, said: string[]): OpenInit {
  return {
    name,
    client: { capabilities: {} },
    principal: { id: "check" },
    request: REQUEST,
    downstream: { notified() {}, ask, ended() {} },
    signal,
    clock: systemClock,
    report(event) {
      if (event.type !== "upstream-output") return;
      said.push(event.text);
      if (said.length > MOST_LINES) said.shift();
    },
  };
}

function ask(): Promise<JsonObject> {
  return Promise.reject(new McpError(-32601, "Nobody can be asked"));
}

function countTools({ tools, nextCursor }: JsonObject): string {
  const count = Array.isArray(tools) ? tools.length : 0;
  const more = nextCursor === undefined ? "" : " or more";
  return count === 1 && more === "" ? "1 tool" : `${count}${more} tools`;
}
