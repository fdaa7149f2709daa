/**
 * Faults in what must hold for each host, spelling and bound of work.
 *
 * @module
 */
import type { FaultsByFile } from "../mutations.ts";

const OPTIONS = "wire/options.test.ts";
const ROUTES = "cli/routes.test.ts";
const NAMES = "gateway/second_names.test.ts";
const POLICY = "gateway/policy.test.ts";
const WORK = "unit/gateway/work.test.ts";
const SERIES = "unit/telemetry/series.test.ts";
const KILLED = "gateway/killed_program.test.ts";

/** The faults. */
export const LOCKDOWN: FaultsByFile = {
  "handler/option_names.ts": {
    tests: [OPTIONS],
    faults: [
      ["HOST-8", "if (Object.hasOwn(honoured, name)) return;", "if (name !== null) return;"],
      ["HOST-8", "if (own === undefined) continue;", "if (own !== null) continue;"],
    ],
  },
  "handler/guarded.ts": {
    tests: [ROUTES],
    faults: [
      ["POL-1", "post: (inbound) => guard(inbound) ??", "post: (inbound) =>"],
      ["POL-1", "get: (inbound) => guard(inbound) ??", "get: (inbound) =>"],
    ],
  },
  "server/server.ts": {
    tests: [NAMES],
    faults: [["MID-4", "const message = this.#plain(given);", "const message = given;"]],
  },
  "gateway/view/find_resource.ts": {
    tests: [NAMES, POLICY],
    faults: [["POL-1", "if (!isJudged) return address;", "if (address) return address;"]],
  },
  "protocol/uri.ts": {
    tests: [POLICY],
    faults: [
      ["POL-1", "|| TWICE.test(text)", ""],
      ["POL-1", "if (CONTROL.test(text) ||", "if ("],
      [
        "POL-1",
        'slashed = isWeb || isFile ? path.replaceAll("\\\\", "/") : path',
        "slashed = path",
      ],
      ["POL-1", "if (!isOpaque && resolvedPath(hidden) !== hidden) return undefined;", ""],
      ["POL-1", 'if (segment === "..") kept.pop();', 'if (segment === "..") continue;'],
      ["POL-1", 'else if (segment !== "" && segment', "else if (segment"],
      ["POL-1", 'name === "localhost" ? "" :', ""],
      ["POL-1", "|| number === DEFAULT_PORTS[scheme]", ""],
    ],
  },
  "gateway/policy/unmatched.ts": {
    tests: ["cli/policy.test.ts"],
    faults: [["POL-14", "return texts.some(matches) ? []", "return texts ? []"]],
  },
  "gateway/policy/policies.ts": {
    tests: ["cli/policy.test.ts"],
    faults: [["POL-14", "if (withholds) this.#withheld.add(upstream);", ""]],
  },
  "internal/work.ts": {
    tests: [WORK],
    faults: [
      ["POL-13", "if (this.#left < 0) throw", "if (this.#left === null) throw"],
      ["POL-13", "values > mostValues || depth > mostDepth", "depth > mostDepth"],
      ["POL-13", "values > mostValues || depth > mostDepth", "values > mostValues"],
    ],
  },
  "telemetry/durations.ts": {
    tests: [SERIES],
    faults: [["TEL-8", "const known = withKnownCode(ending);", "const known = ending;"]],
  },
  "telemetry/series_cap.ts": {
    tests: [SERIES],
    faults: [["TEL-8", "if (this.#keys.size >= this.#most) {", "if (this.#most === null) {"]],
  },
  "dashboard/operator/statistics.ts": {
    tests: ["unit/dashboard/statistics.test.ts", "wire/operator.test.ts"],
    faults: [[
      "OPR-6",
      'tool ?? prompt ?? (isNamed ? UNKNOWN : "")',
      "itemName(call.method, call.params)",
    ]],
  },
  "era2025/get.ts": {
    tests: ["gateway/core_questions.test.ts"],
    faults: [["GTW-10", "    session.noteListening();\n", ""]],
  },
  "gateway/view/alone.ts": {
    tests: ["gateway/versions.test.ts"],
    faults: [["GTW-13", "return facts?.protocolVersion === protocolVersion;", "return false;"]],
  },
  "gateway/session/managed_session.ts": {
    tests: [KILLED, "gateway/registry.test.ts"],
    faults: [
      ["GTW-7", "if (mayRepeat) return await this.#request(call, true);", ""],
      ["GTW-2", "if (!isRepeated) return await this.#request(call, true);", ""],
    ],
  },
  "cli/check/cause.ts": {
    tests: ["cli/cause.test.ts"],
    faults: [["CMD-3", '=> line.trim() !== "" && !FRAME.test(line)', "=> line !== null"]],
  },
};
