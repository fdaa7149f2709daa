/**
 * Keeps an audit trail of what a handler reports and of what operators do.
 *
 * @module
 */
import { checkNames } from "../internal/known_names.ts";
import { functionOption, integerOption } from "../internal/check.ts";
import { systemClock } from "../internal/clock.ts";
import { escapeInvisibleJson } from "../internal/invisible.ts";
import type { McpEvent } from "../protocol/events.ts";
import { type AuditEntry, entryFor, entryForAct, entryForNote } from "./entries.ts";
import { LineQueue } from "./queue.ts";
import type { AuditNote, AuditOptions, AuditTrail, OperatorAct } from "./types.ts";

const METHODS: readonly string[] = ["tools/call", "prompts/get", "resources/read"];
const QUEUE_CHARS = 4 * 1024 * 1024;
const CLOSE_MS = 5_000;
/** The part of the queue that refusals may take: a flood of them must not displace the others. */
const REFUSED_SHARE = 0.5;

/**
 * Creates an audit trail: one line of JSON for each session that begins or ends, each call with its
 * principal and outcome, each refusal with its true reason, each approval, and each act of an operator.
 * No line has a token, a session id, arguments or results.
 *
 * @example
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { audit } from "@mooring/mcp/audit";
 * import { connect } from "@mooring/mcp/testing";
 *
 * const server = new McpServer({ name: "demo", version: "1.0.0" });
 * server.registerTool("look", {}, () => "Looked");
 *
 * let file = "";
 * const trail = audit({ write: (lines) => void (file += lines) });
 * const handler = createMcpHandler(server, { onEvent: trail.onEvent });
 * {
 *   await using client = await connect(handler);
 *   await client.callTool("look");
 * }
 * await handler.close();
 * await trail.close();
 * const acts = file.trim().split("\n").map((line) => JSON.parse(line).act);
 * console.assert(acts.join() === "session-begun,call,session-ended");
 * ```
 *
 * @throws {TypeError} If an option has the wrong type
 * @throws {RangeError} If a number is out of range
 */
export function audit(options: AuditOptions): AuditTrail {
  checkNames("audit()", options, {
    write: true,
    methods: true,
    queueChars: true,
    closeMs: true,
    clock: true,
  });
  const { clock = systemClock, methods = METHODS } = options;
  const write = functionOption("write", options.write);
  if (write === undefined) throw new TypeError('Give a function as "write"');
  if (!Array.isArray(methods) || !methods.every((method) => typeof method === "string")) {
    throw new TypeError('Give an array of strings as "methods"');
  }
  const recorded = new Set(methods);
  const closeMs = integerOption("closeMs", options.closeMs, CLOSE_MS, 0);
  const lineOf = (entry: AuditEntry): string => `${escapeInvisibleJson(JSON.stringify(entry))}\n`;
  let at = NaN;
  let text = "";
  const now = (): string => {
    const ms = clock.now();
    if (ms !== at) text = new Date(at = ms).toISOString();
    return text;
  };
  const queue = new LineQueue({
    write,
    mostChars: integerOption("queueChars", options.queueChars, QUEUE_CHARS),
    clock,
    droppedLine: (lines) => lineOf({ time: now(), act: "dropped", lines }),
  });
  const close = () => queue.close(closeMs);
  return {
    onEvent(event: McpEvent) {
      const entry = entryFor(event, recorded, now);
      if (entry === undefined) return;
      queue.add(lineOf(entry), entry.act === "refused" ? REFUSED_SHARE : 1);
    },
    record(act: OperatorAct) {
      if (typeof act?.action !== "string" || act.action === "") {
        throw new TypeError(`Give a text as "action": ${typeof act?.action}`);
      }
      queue.add(lineOf(entryForAct(act, now)));
    },
    note(note: AuditNote) {
      if (typeof note?.act !== "string" || note.act === "") {
        throw new TypeError(`Give a text as "act": ${typeof note?.act}`);
      }
      queue.add(lineOf(entryForNote(note, now)), note.byStrangers === true ? REFUSED_SHARE : 1);
    },
    stats: () => queue.stats,
    flush: () => queue.flush(),
    close,
    [Symbol.asyncDispose]: close,
  };
}
