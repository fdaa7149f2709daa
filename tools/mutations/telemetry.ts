/**
 * Faults in telemetry and metrics.
 *
 * @module
 */
import type { FaultsByFile } from "../mutations.ts";

const SPANS = "telemetry/spans.test.ts";
const SCRAPE = "telemetry/scrape.test.ts";

/** The faults of telemetry. */
export const TELEMETRY: FaultsByFile = {
  "telemetry/conventions.ts": {
    tests: ["unit/telemetry/conventions.test.ts"],
    faults: [
      ["TEL-1", "10, 30, 60, 120, 300]", "10, 30, 60, 120, 240]"],
      ["TEL-1", '"mcp.client.session.duration"', '"mcp.client.sessions.duration"'],
      ["TEL-1", "  -32_602, // Invalid params, also for an unknown tool\n", ""],
    ],
  },
  "telemetry/operation.ts": {
    tests: [SPANS, SCRAPE],
    faults: [
      ["TEL-2", 'side === "client" || !CALLER', "!CALLER"],
      ["TEL-2", 'return endingOfCode("-32603", side, "Internal error");', "throw error;"],
      ["TEL-2", 'error.kind === "input-required" ? SUCCESS : ', ""],
    ],
  },
  "telemetry/telemetry.ts": {
    tests: [SPANS],
    faults: [
      ["TEL-2", "otel.context.with(otel.trace.setSpan(parent, span), () => next())", "next()"],
      ["TEL-2", "this.#stopped(event);", ";"],
      ["TEL-3", "shortHash(session.id) : session.id", "session.id : session.id"],
      ["TEL-3", '.replace(/[?#][^]*$/, "")', ""],
      [
        "TEL-4",
        "const params = withContext(request.params, context);",
        "const { params } = request;",
      ],
      ["TEL-5", "this.#histograms.set(name, histogram);", "return undefined;"],
    ],
  },
  "telemetry/trace_context.ts": {
    tests: [SPANS],
    faults: [
      ["TEL-4", "links: here === undefined ? [] : [{ context: here }]", "links: []"],
      ["TEL-4", 'if (use === "ignore") return { parent: current, links: [] };', ""],
      ["TEL-4", 'if (use === "link") return { parent: current, links: [{ context: there }] };', ""],
    ],
  },
  "telemetry/known_names.ts": {
    tests: [SCRAPE],
    faults: [[
      "TEL-8",
      "this.#names.has(keyOf(upstream, method, name)) ? name : undefined",
      "name",
    ]],
  },
  "telemetry/collector.ts": {
    tests: [SCRAPE],
    faults: [
      ["TEL-7", "this.#upstreams.set(request.upstream, true);", ""],
      ["TEL-7", "return upstreams.set(event.upstream, true);", "return;"],
      ["TEL-8", "if (this.#named.size >= this.#names) return OTHER;", ""],
      ["TEL-6", "if (event === this.#last) return;", ""],
    ],
  },
  "telemetry/duration_histogram.ts": {
    tests: [SCRAPE],
    faults: [["TEL-6", "    total += count;\n", "    total = count;\n"]],
  },
  "cli/serve/metrics.ts": {
    tests: ["cli/metrics.test.ts"],
    faults: [["TEL-9", "guarded && !isLoopback(host)", "false"]],
  },
};
