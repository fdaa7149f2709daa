/**
 * Faults in sessions: their owners, limits and ends.
 *
 * @module
 */
import type { FaultsByFile } from "../mutations.ts";

const WIRE = "wire/session.test.ts";
const OWNER = "wire/owner.test.ts";
const CONTRACT = "contracts/memory.test.ts";

/** The faults of sessions. */
export const SESSIONS: FaultsByFile = {
  "sessions/kept_answers.ts": {
    tests: ["wire/answer_once.test.ts"],
    faults: [
      [
        "ONCE-3",
        "if (!isLost && other !== dead) return",
        "if (!isLost && dead === undefined) return",
      ],
      ["ONCE-5", "if (before !== about) throw", "if (before === undefined) throw"],
      ["ONCE-7", "if (!again) throw", "if (!again && isLost) throw"],
      ["ONCE-7", "error instanceof CallRefusedError ? forget : ", ""],
      ["ONCE-8", "if (untilOf(text) <= now)", "if (untilOf(text) < now)"],
      ["ONCE-9", "} else if (values.size >= MOST_KEYS) throw full();", "}"],
      ["ONCE-11", "?.[2] === run && apply(values)", " !== undefined && apply(values)"],
      ["ONCE-12", "else beat.endAfter(attempt);", "else await beat.end();"],
      ["ONCE-15", "if (await attempt()) await beat.end();", "if (await attempt()) return;"],
      ["ONCE-19", "asks ? forget : keep(", "keep("],
    ],
  },
  "sessions/id.ts": {
    tests: ["unit/sessions/id.test.ts", WIRE],
    faults: [
      ["SES-1", "return randomText(LENGTH);", 'return randomText(LENGTH / 2).padEnd(LENGTH, "A");'],
      ["SES-3", "text.length === LENGTH && SESSION_ID.test(text)", "text.length === LENGTH"],
    ],
  },
  "sessions/live_session.ts": {
    tests: [
      WIRE,
      "wire/ask.test.ts",
      "wire/streams.test.ts",
      "wire/cluster_streams.test.ts",
      "wire/cluster_shared.test.ts",
      "wire/store_timing.test.ts",
      "wire/shared_store.test.ts",
    ],
    faults: [
      ["SES-6", "    this.#inflight?.stopAll(kind);\n", ""],
      ["SES-6", "    this.#questions?.abortAll(new StopError(kind));\n", ""],
      ["SES-6", "connection.close(kind);", ";"],
      ["SES-6", "    this.ended = true;\n", ""],
      ["CLU-1", " &&\n      (this.#connections?.size ?? 0) === 0;", ";"],
      ["STR-6", "    finished.add(stream);\n", ""],
      ["SRV-6", "await this.#init.store.update(this.id, { logLevel: level });", ""],
    ],
  },
  "sessions/memory_store.ts": {
    tests: [CONTRACT, "unit/sessions/memory_store.test.ts", WIRE],
    faults: [
      ["SES-5", "share.count >= sessionsPerPrincipal", "share.count > sessionsPerPrincipal"],
      ["SES-5", "!sharesCap && count < sessions", "!sharesCap && count <= sessions"],
      ["SES-5", "this.#entries.size + this.#reserved.size", "this.#entries.size"],
      ["SES-5", "sharesCap ? own : own ?? this.#free.first", "own ?? this.#free.first"],
      ["SES-5", "sharesCap ? own : own ?? this.#free.first", "sharesCap ? own : this.#free.first"],
      ["SES-4", ">= this.#lifetimes.absoluteMs", "> this.#lifetimes.absoluteMs"],
      ["SES-4", ">= this.#lifetimes.idleMs", "> this.#lifetimes.idleMs"],
      ["SES-4", "return holds === 0 && now", "return now"],
      ["OWN-1", "if (current !== undefined && current !== owner) return FOREIGN;", ""],
      [
        "OWN-2",
        "if (current !== undefined && current !== owner) return FOREIGN;",
        "if (current !== undefined && current !== owner) {\n      this.#touch(entry, this.#clock.now());\n      return FOREIGN;\n    }",
      ],
      ["SES-8", "if (current === undefined) this.#assignOwner(entry, owner);", ""],
      [
        "SES-5",
        "    this.#free.append(entry);\n",
        "    if (entry.list === undefined) this.#free.append(entry);\n",
      ],
      ["SES-4", "    entry.usedAt = now;\n", ""],
      ["SES-4", "    entry.holds -= 1;\n", ""],
      [
        "SES-5",
        "entry === undefined || entry.holds === 0) return;",
        "entry === undefined) return;",
      ],
      ["SRV-5", "subscriptions.size >= cap", "subscriptions.size > cap"],
      [
        "SRV-5",
        "for (const uri of entry.subscriptions ?? []) this.#subscribers.remove(uri, id);",
        "",
      ],
      ["SRV-5", 'if (subscriptions.has(uri)) return "subscribed";', ""],
      ["SES-5", "    this.#removeFromShare(entry.share);\n", ""],
      ["SES-5", "    this.#reserved.delete(id);\n", ""],
      ["SES-5", "if (share.count === 0) this.#shares.delete(share.key);", ""],
      ["SES-4", ' ?? "evicted";', ' ? "evicted" : "evicted";'],
      ["SES-4", "|| this.#expiry(entry, this.#clock.now()) !== undefined", ""],
      ["SES-1", "if (!this.#reserved.has(id)) return false;", ""],
    ],
  },
  "sessions/owner.ts": {
    tests: ["unit/sessions/owner.test.ts", OWNER],
    faults: [
      ["AUTH-3", ' && !id.startsWith(",")', ""],
      ["AUTH-3", 'issuer?.length ?? ""', '""'],
      ["AUTH-3", '${clientId ?? ""}${id}', "${id}"],
      ["AUTH-3", "issuer === undefined && clientId === undefined &&", "issuer === undefined &&"],
      [
        "AUTH-3",
        '${issuer ?? ""}${clientId ?? ""}${id}`;',
        '${issuer ?? ""}${id}`;',
      ],
      ["SES-5", 'if (!owner.startsWith(",")) return owner;', "return owner;"],
      ["SES-5", 'issuer: issuer === "" ? undefined : owner', "issuer: owner"],
      ["SES-5", "id: owner.slice(end + Number(client))", "id: owner.slice(end)"],
      ["AUTH-3", "    ...clientId !== undefined && { clientId },\n", ""],
    ],
  },
  "sessions/server_streams.ts": {
    tests: [
      WIRE,
      "wire/streams.test.ts",
      "wire/ask.test.ts",
      "wire/cluster_streams.test.ts",
      "wire/store_timing.test.ts",
    ],
    faults: [
      ["SES-9", "if (isPromise(begun)) await begun;", ""],
      ["SES-9", 'store.update(id, { initialized: "sending" })', "undefined"],
      ["SES-9", "if (isPromise(updated)) return await updated;", ""],
      [
        "SES-9",
        "if (record.initialized !== true) return this.#queue(id, text).then(() => true);",
        "",
      ],
      ["SES-9", " && record?.initialized !== false) {", ") {"],
      ["STR-13", "if (isPromise(unread) ? await unread : unread) continue;", ""],
      ["STR-13", "if (isPromise(queued) ? await queued : queued) continue;", ""],
      [
        "STR-12",
        "if (record === undefined) return false;",
        "if (record === undefined) return true;",
      ],
      ["SES-9", "        lease.release();\n", ""],
      ["ASK-1", "if ((await store.peek(id))?.initialized !== true) return false;", ""],
      ["SES-9", "if (isPromise(noted)) await noted;", ""],
    ],
  },
  "sessions/sessions.ts": {
    tests: [
      WIRE,
      OWNER,
      "wire/shutdown.test.ts",
      "wire/cluster_streams.test.ts",
      "wire/cluster_shared.test.ts",
      "faults/store.test.ts",
      "wire/shared_store.test.ts",
      "wire/store_timing.test.ts",
    ],
    faults: [
      ["SES-3", "if (live === undefined && !isSessionId(id)) return", "if (false) return"],
      ["SES-6", 'if (this.#ended.has(id)) return sessionNotFound("session-unknown");', ""],
      ["SES-6", 'if (session.ended) return sessionNotFound("session-unknown");', ""],
      ["SES-4", 'if (found.refusal === "expired") this.endedByStore([found.ended]);', ""],
      ["SES-6", '    live?.end(reason === "shutdown" ? "shutdown" : "session-ended");\n', ""],
      ["SES-6", "      await this.#init.log.drop(id);\n", ""],
      ["SES-6", "if (claimed || !pinned) onEnd(id, reason);", "if (claimed) onEnd(id, reason);"],
      ["CLU-2", "    announceEnd(id, reason);\n", ""],
      ["SES-4", "more ? 0 : SWEEP_MS", "SWEEP_MS"],
      ["END-2", "if (this.#disposed || !any ||", "if (!any ||"],
      ["SES-4", "if (this.#disposed || !any ||", "if (this.#disposed || any ||"],
      ["SES-4", "    let any = true;\n", "    let any = false;\n"],
      ["SES-5", "if (reserved.ended.length > 0) this.endedByStore(reserved.ended);", ""],
      ["SES-6", "if (live !== undefined && this.live.get(id) === live) this.#remake(live);", ""],
      ["STR-7", 'reporter.background("dropping a session\'s events", () => log.drop(id));', ""],
    ],
  },
  "sessions/subscribers.ts": {
    tests: [CONTRACT, "unit/sessions/memory_store.test.ts"],
    faults: [[
      "SRV-5",
      "else sessions.add(session);",
      "else this.#sessions.set(uri, new Set([session]));",
    ]],
  },
  "sessions/state_values.ts": {
    tests: [CONTRACT, "wire/bounds.test.ts"],
    faults: [
      ["SES-12", "bytes > most) return false", "bytes >= most) return false"],
      ["SES-12", "after > before && bytes > most", "bytes > most"],
      ["SES-12", "this.#bytes - before + after", "this.#bytes + after"],
      [
        "SES-12",
        "utf8Length(key) + utf8Length(text);\n    const bytes",
        "key.length + text.length;\n    const bytes",
      ],
      ["SES-12", "    this.#bytes -= this.#sizeOf(key);\n", ""],
      ["SES-12", "undefined ? 0 : utf8Length(key) +", "undefined ? 0 :"],
      ["SES-12", "    this.#bytes = bytes;\n", ""],
    ],
  },
};
