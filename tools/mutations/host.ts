/**
 * Faults in how a server runs in its process.
 *
 * @module
 */
import type { FaultsByFile } from "../mutations.ts";

/** The faults of a process. */
export const HOST: FaultsByFile = {
  "adapters/node_request.ts": {
    tests: ["runtimes/node_request.test.ts"],
    faults: [
      ["GATE-3", "if (!KEPT_FIRST.has(wanted)) return kept;", "return kept;"],
      ["GATE-3", "if (/[/?#@\\\\]/.test(host)) throw", "if (false) throw"],
      ["GATE-3", 'if (!target.startsWith("/")) throw', "if (false) throw"],
      ["GATE-3", " && !DOT_SEGMENT.test(target)", ""],
      ["GATE-11", " || isHiddenHeader(name)", ""],
      ["AUTH-1", "return this.#request ??= new", "return new"],
      ["CAN-6", "if (outgoing.writableFinished) return;", ""],
      ["GATE-8", "if ((controller.desiredSize ?? 0) <= 0) incoming.pause();", ""],
      ["GATE-8", "if (incoming.readableDidRead) throw", "if (false) throw"],
      ["GATE-9", "text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text", "text"],
    ],
  },
  "adapters/app_principal.ts": {
    tests: ["runtimes/node_adapter.test.ts", "unit/adapters/hono.test.ts"],
    faults: [
      ["HOST-4", 'if (typeof pick === "function") return;', "return;"],
      ["HOST-4", "throw new Unauthorized();", 'return { id: "" };'],
    ],
  },
  "adapters/framework_request.ts": {
    tests: ["runtimes/node_adapter.test.ts"],
    faults: [
      ["HOST-2", ' && url?.startsWith("/")', ""],
      ["HOST-2", 'typeof originalUrl === "string" ? originalUrl : url', "url"],
      ["HOST-1", "!incoming.readableDidRead || ", ""],
      ["HOST-1", " || Buffer.isBuffer(incoming.rawBody)", ""],
      ["HOST-1", '.replaceAll("\\ufffd", "\\\\ufffd")', ""],
      ["HOST-1", 'if (typeof body === "string") return Buffer.from(body);', ""],
    ],
  },
  "adapters/node_send.ts": {
    tests: ["runtimes/node_adapter.test.ts"],
    faults: [
      [
        "HOST-1",
        "outgoing.writeHead(status, fieldsOf(headers));",
        "outgoing.writeHead(status, headers.flat());",
      ],
    ],
  },
  "adapters/stop_signals.ts": {
    tests: ["unit/adapters/stop_signals.test.ts"],
    faults: [
      ["END-3", 'state = "stopping";\n', 'state = "impatient";\n'],
      ["END-3", 'if (state !== "running") return;', ""],
      ["END-3", "      forget();\n      force?.();", "      force?.();"],
      ["END-3", "if (force === undefined) forget();", ""],
      ["END-3", "const REPEAT_MS = 500;", "const REPEAT_MS = 499;"],
    ],
  },
  "adapters/stdio_connection.ts": {
    tests: ["wire/stdio.test.ts"],
    faults: [
      ["STD-2", "cutEnd !== undefined || line.length > settings.gates.bodyBytes", "false"],
      ["STD-2", "if (id !== undefined && this.#failQuestion(id, error)) return;", ""],
      ["STD-2", "idOfCut(line, cutEnd ?? line)", "undefined"],
      ["STD-2", "idOfInvalid(line)", "undefined"],
      ["STD-3", "if (room !== undefined) await room;", ""],
      ["STD-3", "          await this.#takeLine(", "          void this.#takeLine("],
      ["STD-3", "running.ids.size > 0 && !running.cancelled", "false"],
      ["STD-4", "calls.sessionless.cancel(requestId", "void (requestId"],
      ["STD-4", "if (running.ids.size === 1) running.cancelled = true;", ""],
      ["STD-4", "running.abort?.();", ""],
      ["STD-5", "      this.#abortQuestions();\n", ""],
      ["STD-5", "if (graceMs === 0) this.#endGrace.abort();", ""],
      ["STD-5", "filter(([{ listen }]) => !listen)", "filter(() => true)"],
      ["STD-5", "void this.#output.ended.then(() => this.close(0));", ""],
      ["STD-5", "[this.#lines.rest()]", "[]"],
      ["STD-7", 'reply.reason === "forbidden" && scopes !== undefined', "false"],
      ["STD-8", "this.#session !== undefined || isModern", "true"],
      ["STD-8", 'if (before !== undefined) await sessions.end(before.id, "ended");', ""],
    ],
  },
  "internal/keep_alive.ts": {
    tests: ["unit/internal/keep_alive.test.ts"],
    faults: [
      ["END-1", "Math.min(ms, LONGEST_MS)", "0"],
      ["END-1", "Math.min(ms, LONGEST_MS)", "ms"],
      ["END-2", "    clearTimeout(timer);\n", ""],
    ],
  },
};
