/**
 * What one node serves alone: a counter for each session, in the memory of its process.
 *
 * @module
 */
import { setTimeout as pause } from "node:timers/promises";
import type { Dispatcher, Exchange } from "../../../src/protocol/exchange.ts";
import { ErrorCode, McpError } from "../../../src/protocol/errors.ts";
import { isObject, type JsonObject } from "../../../src/protocol/jsonrpc.ts";
import { routing } from "../../support/routes.ts";
import type { Note } from "./node.ts";

interface Args {
  readonly call: string;
  readonly ms: number;
  readonly to: number;
  readonly length: number;
}

type Tool = (exchange: Exchange, args: Args) => string | Promise<string>;

const STEP_MS = 20;

/** Makes the tools of a node. */
export function liveTools(name: string, note: Note): Dispatcher {
  const counts = new Map<string, number>();
  const tools: Readonly<Record<string, Tool>> = {
    whoami: () => name,
    bump({ session }, { call }) {
      note("ran", call);
      const id = session?.id ?? "";
      const count = (counts.get(id) ?? 0) + 1;
      counts.set(id, count);
      return String(count);
    },
    async slow({ signal }, { call, ms }) {
      note("ran", call);
      for (let left = ms; left > 0 && !signal.aborted; left -= STEP_MS) await pause(STEP_MS);
      if (signal.aborted) note("stopped", call);
      return "slept";
    },
    async count(exchange, { call, to, ms }) {
      note("ran", call);
      for (let n = 1; n <= to; n++) {
        exchange.notify({
          method: "notifications/message",
          params: { level: "info", data: n },
        });
        note("said", `${call} ${n}`);
        if (ms > 0) await pause(ms);
      }
      return `counted to ${to}`;
    },
    async ask(exchange, { call }) {
      note("ran", call);
      return JSON.stringify(await exchange.ask("roots/list", {}));
    },
    long: (_, { length }) => "é".repeat(length),
    state: () => String(counts.size),
  };
  return {
    pinned: true,
    route: routing((exchange) => {
      const { method, params } = exchange;
      if (method === "initialize") {
        return {
          protocolVersion: exchange.protocolVersion,
          capabilities: { tools: {} },
          serverInfo: { name: "live", version: "1.0.0" },
        };
      }
      const tool = method === "tools/call" ? tools[String(params.name)] : undefined;
      if (tool === undefined) throw new McpError(ErrorCode.MethodNotFound, "Method not found");
      return answer(tool, exchange);
    }),
    sessionEnded: (id) => void counts.delete(id),
  };
}

async function answer(tool: Tool, exchange: Exchange): Promise<JsonObject> {
  const given = isObject(exchange.params.arguments) ? exchange.params.arguments : {};
  const args: Args = { call: "?", ms: 0, to: 0, length: 0, ...given };
  return { content: [{ type: "text", text: await tool(exchange, args) }] };
}
