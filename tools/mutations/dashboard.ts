/**
 * Faults of the dashboard.
 *
 * @module
 */
import type { FaultsByFile } from "../mutations.ts";

const HTTP = "dashboard/http.test.ts";
const OPERATOR = "wire/operator.test.ts";

/** The faults of the dashboard. */
export const DASHBOARD: FaultsByFile = {
  "dashboard/page/guard.ts": {
    tests: [HTTP],
    faults: [
      ["OPR-6", 'site !== "same-origin" && site !== "none"', "false"],
      ["OPR-6", "return origin.toLowerCase() !== `http://${host}` &&", "return false &&"],
      ["OPR-6", "if (rules === undefined) return isLoopback(host);", "if (!rules) return true;"],
    ],
  },
  "dashboard/page/one_time_links.ts": {
    tests: [HTTP],
    faults: [
      ["OPR-6", "if (links.take(link) === undefined)", "if (links.get(link) === undefined)"],
    ],
  },
  "dashboard/page/operator_tokens.ts": {
    tests: [HTTP],
    faults: [
      ["OPR-15", "if (sameText(token, expected)) found = name;", "found = name;"],
    ],
  },
  "dashboard/page/sign_ins.ts": {
    tests: [HTTP],
    faults: [
      ["OPR-6", "if (found.until > this.#clock.now()) return found.name;", "return found.name;"],
    ],
  },
  "dashboard/page/dashboard.ts": {
    tests: [HTTP],
    faults: [
      ["OPR-6", "given === null || given !== await this.#actToken(by)", "given === null"],
      ["OPR-6", '"SameSite=Strict",', ""],
      ["OPR-7", "this.#options.onAct?.(row);", ""],
    ],
  },
  "dashboard/page/feed.ts": {
    tests: [HTTP],
    faults: [
      ["OPR-8", "if ((watcher.controller.desiredSize ?? 0) <= 0) continue;", ""],
      ["OPR-8", "if (old?.get(key) !== text) rows.push(text);", "rows.push(text);"],
    ],
  },
  "dashboard/operator/operator.ts": {
    tests: [OPERATOR],
    faults: [
      ["OPR-3", "if (other !== undefined) {", "if (false) {"],
      ["OPR-3", "=== principal && shown(of.issuer, MOST_ID) === issuer &&", "=== principal &&"],
    ],
  },
  "dashboard/operator/peers.ts": {
    tests: [OPERATOR],
    faults: [
      ["OPR-4", "if (peer.askedAt === 0) peer.askedAt = now;", ""],
    ],
  },
  "handler/operator_view.ts": {
    tests: [OPERATOR],
    faults: [
      ["OPR-4", "await states.seal({ message }, BINDING);", "JSON.stringify(message);"],
      ["OPR-3", 'call.stop(new StopError("operator-cancelled"))', "true"],
    ],
  },
  "dashboard/operator/statistics.ts": {
    tests: ["unit/dashboard/statistics.test.ts", OPERATOR],
    faults: [
      ["OPR-1", "entry[1].count < rarest[1].count", "entry[1].count > rarest[1].count"],
      ["OPR-1", "clip(this.#redact(event.text), MOST_CHARS)", "clip(event.text, MOST_CHARS)"],
    ],
  },
};
