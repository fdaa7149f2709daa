/**
 * Faults in what serves on Cloudflare Workers.
 *
 * @module
 */
import type { FaultsByFile } from "../mutations.ts";

const RESTART = "unit/sql/restart.test.ts";
const CONTRACTS = "contracts/sql.test.ts";
const TURNS = "unit/sql/turns.test.ts";
const UNIT = "unit/adapters/workers.test.ts";
const PER_REQUEST = "unit/internal/per_request.test.ts";

/** The faults of the Workers adapter and of its storage. */
export const WORKERS: FaultsByFile = {
  "sql/event_log.ts": {
    tests: [RESTART, CONTRACTS],
    faults: [
      ["WRK-6", "if (!answered.has(request)) {", "{"],
      ["STR-7", "now - retainMs,", "now,"],
    ],
  },
  "sql/session_events.ts": {
    tests: [RESTART, CONTRACTS, TURNS],
    faults: [
      ["STR-7", "this.#heldBytes + more <= eventBytes;", "this.#heldBytes + more >= 0;"],
      ["STR-7", "bytes > MOST_BYTES || (", "("],
      ["DUR-22", "this.#removeRows((row) => rows.has(row));", ""],
      ["DUR-23", "const texts = framed ? framedData(text) : split();", "const texts = split();"],
    ],
  },
  "sql/session_store.ts": {
    tests: [RESTART, CONTRACTS],
    faults: [
      ["WRK-3", "      this.#then = Number(used_at);\n", "      this.#then = this.#clock.now();\n"],
      ["WRK-3", "    stored.notedAt = now;\n", "    return;\n"],
      ["WRK-5", "    if (!this.#stored.has(id)) return;\n", ""],
    ],
  },
  "adapters/workers_ids.ts": {
    tests: [UNIT],
    faults: [
      ["WRK-5", "index < this.#secrets.length", "index < 1"],
      ["WRK-5", "encoder.encode(`mooring session id\\0${random}`)", 'encoder.encode("")'],
    ],
  },
  "adapters/workers_session.ts": {
    tests: [UNIT],
    faults: [
      ["WRK-4", "    await this.#state.storage.deleteAll();\n", ""],
      ["WRK-4", "    await this.#state.storage.deleteAlarm();\n", ""],
    ],
  },
  "adapters/idle_clock.ts": {
    tests: [UNIT],
    faults: [
      ["WRK-4", "if (this.#running) this.#start(timer);", "this.#start(timer);"],
      ["WRK-4", "timer.due - this.now()", "timer.due"],
    ],
  },
  "internal/end_of_turn.ts": {
    tests: [PER_REQUEST],
    faults: [["WRK-2", "        if (work.list === undefined) return;\n", ""]],
  },
};
