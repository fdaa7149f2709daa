/**
 * Faults in streams, their logs and their connections.
 *
 * @module
 */
import type { FaultsByFile } from "../mutations.ts";

const WIRE = "wire/streams.test.ts";
const CONTRACT = "contracts/memory.test.ts";

/** The faults of streams. */
export const STREAMS: FaultsByFile = {
  "streams/direct_connection.ts": {
    tests: [
      "unit/streams/direct_connection.test.ts",
      "wire/modern_listen.test.ts",
      "wire/modern_cancel.test.ts",
      WIRE,
    ],
    faults: [
      ["STR-10", "room < bytes.byteLength && room <", "room <"],
      ["STR-10", " && room < this.#options.bufferBytes", ""],
      ["ERA-5", "    this.#delay?.cancel();\n", ""],
      ["ERA-5", "if (room > KEEP_ALIVE.length) ", ""],
      ["ERA-5", "    this.#keepAlive();\n  }\n\n  /** Sends", "  }\n\n  /** Sends"],
    ],
  },
  "streams/direct_reply.ts": {
    tests: [
      "wire/modern_cancel.test.ts",
      WIRE,
      "wire/reply_whole.test.ts",
      "wire/modern_memory.test.ts",
    ],
    faults: [
      ["STR-11", "      this.#streams.slots.give(this.#init.share);\n", ""],
      ["STR-11", "        slots.give(share);\n", ""],
      ["AUTH-3", "        stopExpiry?.();\n", ""],
      ["CAN-6", 'if (reason !== "ended") onLost?.();', ""],
      ["AUTH-3", 'callAt(clock, expiresAt, () => connection.close("unauthorized"))', "undefined"],
      ["STR-4", "for (const text of pending) connection.send(text);", ""],
    ],
  },
  "streams/logged_connection.ts": {
    tests: ["unit/streams/logged_connection.test.ts", WIRE],
    faults: [
      ["STR-10", "oldest > this.#lastSent + 1) return", "oldest > this.#lastSent + 2) return"],
      ["STR-4", "this.#lastSent >= slice.last)", "this.#lastSent > slice.last)"],
      ["STR-2", "    this.#keepAliveDelay.cancel();\n", ""],
      [
        "STR-6",
        "    this.#keepAliveDelay.cancel();\n    this.#stopWatching();",
        "    this.#keepAliveDelay.cancel();",
      ],
      ["STR-6", " && last !== this.#newest", ""],
      ["STR-10", "      if (this.#room <= 0) {\n", "      if (this.#room < 0) {\n"],
      ["STR-3", "after === 0 ? this.#openLog", "after > 0 ? this.#openLog"],
      ["STR-6", "if (this.#lastSent > begin) this.#noteDelivered();", ""],
      ["STR-10", 'this.#finish("slow", this.#options.retryMs)', 'this.#finish("slow")'],
      ["STR-7", "if (!first) return this.#tooSlow();", ""],
      ["STR-2", "if (this.#room >= this.#bufferBytes) this", "this"],
    ],
  },
  "streams/logged_reply.ts": {
    tests: [
      "wire/reply_whole.test.ts",
      WIRE,
      "wire/shutdown.test.ts",
      "wire/cluster_streams.test.ts",
      "faults/store.test.ts",
    ],
    faults: [
      ["STR-11", "    slots.give(share);\n", ""],
      [
        "STR-4",
        "if (this.#answering === undefined || this.#streams.log.orderly) this.#end();",
        "if (this.#answering !== null) this.#end();",
      ],
      ["STR-9", "if (resumable) present", "present"],
      ["STR-4", "answer ? () => this.#sendUnlogged(data) : undefined", "undefined"],
      ["END-1", 'if (retryMs !== undefined) this.#connection?.close("shutdown", { retryMs });', ""],
      [
        "STR-3",
        "const text = VERSIONS[version].priming",
        "const text = !VERSIONS[version].priming",
      ],
      ["STR-3", "frame(eventId(stream, ++n), data)", "frame(eventId(stream, n++), data)"],
    ],
  },
  "streams/memory_log.ts": {
    tests: [CONTRACT, "unit/streams/memory_log.test.ts", WIRE],
    faults: [
      ["STR-4", "if (target.ended) return 0;", ""],
      ["STR-7", " || !target.known) return undefined;", ") return undefined;"],
      ["SES-6", "    this.#dropped.add(session);\n", ""],
      ["SES-6", "    log.close();\n", ""],
      ["STR-7", "      log.tidy(target);\n", ""],
      ["STR-6", "      target.unwatch(watcher);\n", ""],
    ],
  },
  "streams/replay.ts": {
    tests: ["unit/streams/replay.test.ts", WIRE],
    faults: [
      ["STR-7", "n > slice.last)", "n >= slice.last)"],
      ["STR-7", 'if (slice.gap) return { failed: "gap" };', ""],
      ["STR-6", "slice.ended && n === slice.last", "slice.ended"],
      ["STR-7", "Number.isSafeInteger(n) ?", "n >= 0 ?"],
      ["STR-3", "(0|[1-9][0-9]{0,15})$/", "([0-9]{1,16})$/"],
    ],
  },
  "streams/session_log.ts": {
    tests: [
      CONTRACT,
      "unit/streams/session_log.test.ts",
      "unit/streams/memory_log.test.ts",
      "wire/reply_memory.test.ts",
      "wire/reply_whole.test.ts",
    ],
    faults: [
      ["STR-7", "this.#count > this.#limits.events", "this.#count >= this.#limits.events"],
      ["STR-7", "return this.#bytes > eventBytes;", "return this.#bytes >= eventBytes;"],
      ["STR-7", "gap = after < first - 1", "gap = after < first"],
      ["STR-7", " || stream.delivered < stream.last", ""],
      ["STR-7", "Math.min(n, stream.last)", "n"],
      ["STR-6", "if (stream.watched) return;", ""],
      ["STR-7", "Math.max(stream.first, entry.n + 1)", "Math.max(stream.first, entry.n)"],
      [
        "STR-7",
        "if (bytes === undefined) this.#chars -= chars;\n    else this.#bytes -= bytes;",
        "this.#chars -= chars;",
      ],
      ["STR-7", "stream.first = last - count + 1;", "stream.first = last - count;"],
      [
        "STR-7",
        "entry instanceof StreamEntry && entry.stream === stream) this",
        "entry instanceof StreamEntry) this",
      ],
      [
        "STR-7",
        "this.#bytes + 3 * this.#chars <= eventBytes",
        "this.#bytes + this.#chars <= eventBytes",
      ],
      [
        "STR-7",
        "!stream.known) this.#forget(stream);\n    this.#notifyIfEmpty();",
        "!stream.known) this.#forget(stream);",
      ],
    ],
  },
  "streams/sse.ts": {
    tests: ["unit/streams/sse.test.ts", WIRE],
    faults: [
      ["STR-2", '"no-cache, no-transform"', '"no-cache"'],
      [
        "STR-2",
        String.raw`data.replace(/[\r\n]+/g, " ")`,
        String.raw`data.replace(/[\r\n]+/, " ")`,
      ],
      ["STR-2", String.raw` || data.includes("\r") ?`, " ?"],
      ["STR-9", "Math.ceil(ms)", "ms"],
    ],
  },
  "streams/stream_log.ts": {
    tests: [CONTRACT, "unit/streams"],
    faults: [
      ["STR-6", "if (this.#watchers.includes(watcher)) watcher", "watcher"],
      ["STR-6", "each !== watcher", "each === watcher"],
      ["STR-7", "    this.#log.expire(this);\n    this.wake();", "    this.#log.expire(this);"],
    ],
  },
  "streams/streams.ts": {
    tests: [
      WIRE,
      "wire/auth.test.ts",
      "wire/owner.test.ts",
      "wire/session.test.ts",
      "wire/bounds.test.ts",
    ],
    faults: [
      ["AUTH-3", "        stopExpiry?.();\n", ""],
      ["STR-11", "        this.slots.give(share);\n", ""],
      ["SES-4", "        session.release();\n", ""],
      ["SES-4", "    session.hold();\n", ""],
      [
        "STR-11",
        '    session.connections.get(stream)?.close("replaced");\n    return this',
        "    return this",
      ],
      ["STR-11", "new Slots(settings.most, settings.mostPerPrincipal)", "new Slots(settings.most)"],
      ["AUTH-3", "callAt(this.clock, init.expiresAt, ", "callAt(this.clock, undefined, "],
      ["STR-8", "        init.onClose?.();\n", ""],
    ],
  },
  "internal/max_heap.ts": {
    tests: ["unit/internal/max_heap.test.ts"],
    faults: [
      [
        "STR-14",
        "parent.weight >= item.weight) return this.#sink(item);",
        "parent.weight >= item.weight) return;",
      ],
      ["STR-14", "parent.weight < item.weight) {", "parent.weight > item.weight) {"],
      ["STR-14", "if (child.weight <= item.weight) return;", "return;"],
      [
        "STR-14",
        "right.weight > left.weight ? right : left",
        "right.weight > left.weight ? left : right",
      ],
      ["STR-14", "    this.update(last);\n", ""],
      ["STR-14", "last === undefined || last === item", "last === undefined"],
      ["STR-14", "(index - 1) >> 1", "index >> 1"],
    ],
  },
  "streams/event_budget.ts": {
    tests: [
      "unit/streams/event_budget.test.ts",
      "unit/streams/session_log.test.ts",
      "wire/event_memory.test.ts",
    ],
    faults: [
      ["STR-14", "account.weight > bytesPerPrincipal", "account.weight >= bytesPerPrincipal"],
      ["STR-14", "this.#bytes > totalBytes", "this.#bytes >= totalBytes"],
      ["STR-14", "this.#evictOldest(this.#heap.first)", "this.#evictOldest(account)"],
      ["STR-14", "if (share !== undefined) {", "if (share !== null) {"],
      ["STR-14", "account.weight -= charge.size;", ""],
      ["STR-14", "this.#bytes -= charge.size;", ""],
      ["STR-14", "    charge.account = undefined;\n", ""],
      ["STR-14", "      this.#accounts.delete(account.share);\n", ""],
      ["STR-14", "      this.#heap.remove(account);\n", ""],
      ["STR-14", "} else this.#heap.update(account);", "}"],
      ["STR-14", "    this.give(oldest);\n", ""],
      ["STR-14", "    oldest.evict();\n", ""],
      ["STR-14", "account.charges.insert(part, charge);", "account.charges.append(part);"],
      [
        "STR-14",
        "size <= Math.min(this.#limits.totalBytes, this.#limits.bytesPerPrincipal)",
        "size <= this.#limits.totalBytes",
      ],
      ["STR-14", "return size <= Math.min(", "return size < Math.min("],
    ],
  },
};
