/**
 * Faults between nodes.
 *
 * @module
 */
import type { FaultsByFile } from "../mutations.ts";

const PINNED = "wire/cluster_pinned.test.ts";
const LOST = "wire/cluster_lost.test.ts";
const SHARED = "wire/cluster_shared.test.ts";
const STREAMS = "wire/cluster_streams.test.ts";
const CONTRACT = "contracts/memory.test.ts";

/** The faults of a cluster. */
export const CLUSTER: FaultsByFile = {
  "cluster/cluster.ts": {
    tests: [SHARED, STREAMS],
    faults: [
      [
        "CLU-9",
        "this.#drainingAll = draining === true;",
        "this.#drainingAll ||= draining === true;",
      ],
      ["END-2", "    this.documents.close();\n", ""],
    ],
  },
  "cluster/connect.ts": {
    tests: [SHARED, STREAMS],
    faults: [
      [
        "CLU-6",
        "{ bus, node, clock, keys, onMessage",
        "{ bus, node, clock, keys: undefined, onMessage",
      ],
    ],
  },
  "cluster/leased_slots.ts": {
    tests: ["unit/cluster/leased_slots.test.ts"],
    faults: [
      ["CLU-14", "    if (share.leased > 0) share.leased = keep;\n", ""],
      ["CLU-14", "until > this.#init.clock.now() ? leased", "true ? leased"],
      ["CLU-14", "else if (peak < share.leased) this.#reduce(owner, share, peak);", ""],
      ["CLU-14", "      else this.#reduce(owner, share, share.wanted);\n", ""],
      ["CLU-14", "const WAIT_MS = 200;", "const WAIT_MS = 20;"],
      ["CLU-15", "now - share.renewedAt >= QUOTA_RENEW_MS", "false"],
      ["CLU-15", "for (const { reject } of share.waiters.splice(0)) reject(error);", ""],
      ["CLU-17", "if (low && !share.scarce && !share.asking)", "if (low)"],
      ["CLU-17", "share.used + share.waiters.length >= this.#init.limit", "false"],
    ],
  },
  "cluster/memory/quotas.ts": {
    tests: [CONTRACT],
    faults: [
      ["CLU-15", "if (until > now) free -= units;", "free -= units;"],
      ["CLU-14", "Math.floor((free - needed) / 2)", "free - needed"],
      ["CLU-16", ", now + 2 * fullMs)", ", now + fullMs)"],
    ],
  },
  "cluster/forwarding/body_parts.ts": {
    tests: ["unit/cluster/body_parts.test.ts"],
    faults: [
      [
        "CLU-5",
        "isHighSurrogate(text.charCodeAt(end - 1))) end--;",
        "isHighSurrogate(text.charCodeAt(end))) end--;",
      ],
    ],
  },
  "cluster/forwarding/forwarding.ts": {
    tests: [
      PINNED,
      LOST,
      "wire/cluster_outage.test.ts",
      "wire/cluster_once.test.ts",
      "wire/shares.test.ts",
    ],
    faults: [
      ["CLU-5", 'if (inbound.forwarded) return sessionNotFound("session-unknown");', ""],
      ["CLU-5", "!(error instanceof NotDelivered) || --left", "--left"],
      ["CLU-5", "--left === 0 || calls.closing", "true"],
      ["STR-11", "      giveBack();\n", ""],
      [
        "CLU-7",
        "return pinned.sure ? await this.#lost(session) : unreachable",
        "return unreachable",
      ],
      [
        "CLU-5",
        "return pinned.sure ? await this.#lost(session) : unreachable(inbound.requestId)",
        "return await this.#lost(session)",
      ],
      ["CLU-5", "if (requests.length === 0) return () => {};", ""],
      ["CLU-5", "if (error instanceof NotDelivered) return unreachable(inbound.requestId);", ""],
      ["CLU-5", "      await pinned.ensureAlive();\n", ""],
      ["CLU-5", "    inbound.accepts = { json, sse };\n", ""],
      [
        "STR-11",
        "streams.slots.takeHere(share) ? () => streams.slots.giveHere(share) : undefined",
        "() => {}",
      ],
      [
        "STR-15",
        "calls.slots.takeHere(share) ? () => calls.slots.giveHere(share) : undefined",
        "calls.slots.takeHere() ? () => calls.slots.giveHere() : undefined",
      ],
    ],
  },
  "cluster/forwarding/incoming.ts": {
    tests: ["unit/cluster/incoming.test.ts", PINNED, LOST],
    faults: [
      ["CLU-5", "if (!this.#serving.has(key)) this.#serve", "this.#serve"],
      ["CLU-5", "if (granted === undefined) serving.end();\n      else serving", "serving"],
      ["CLU-5", "if (serving.from === node) serving.end();", "serving.end();"],
      ["STR-10", "if (this.sent >= this.#granted) await this.#room();", ""],
      ["CLU-5", "if (this.#ended) return await reader.cancel();", ""],
      ["CLU-5", "    void this.#reader?.cancel().catch(() => {});\n", ""],
      ["CLU-5", ".finally(() => this.#serving.delete(key))", ""],
      ["CLU-5", "if (!(error instanceof Gone)) await this.#failed(serving);", ""],
      ["CLU-5", "decoder.decode(read.value, { stream: true })", "decoder.decode(read.value)"],
      ["CLU-5", "const key = `${from} ${message.id}`;", "const key = message.id;"],
      [
        "CLU-5",
        '{ kind: "forward-unknown", ids: unknown }',
        '{ kind: "forward-unknown", ids: [] }',
      ],
    ],
  },
  "cluster/memory/bus.ts": {
    tests: [CONTRACT, "unit/cluster/memory_bus.test.ts"],
    faults: [
      ["CLU-2", "if (members.get(node) !== receive) return;", ""],
      ["CLU-2", "if (other !== node) queueMicrotask", "queueMicrotask"],
      ["CLU-2", "if (here()) members.delete(node);", "members.delete(node);"],
    ],
  },
  "cluster/memory/documents.ts": {
    tests: [CONTRACT],
    faults: [[
      "CLU-9",
      "expected !== undefined && expected !== version",
      "expected && expected !== version",
    ]],
  },
  "cluster/memory/leases.ts": {
    tests: [CONTRACT],
    faults: [
      ["CLU-4", "if (holders.get(key) === holder) holders.delete(key);", "holders.delete(key);"],
      ["CLU-4", "token: ++this.#token,", "token: this.#token++ % 2,"],
      ["CLU-4", "      old?.lost();\n", ""],
      ["CLU-4", "this.#holders.has(key) ? undefined : this", "this"],
    ],
  },
  "cluster/memory/nodes.ts": {
    tests: [CONTRACT],
    faults: [
      ["CLU-5", "entry.until > this.#clock.now()", "entry.until >= this.#clock.now()"],
      ["CLU-5", "this.#holders.get(session) ?? node;", "node;"],
      ["CLU-5", "if (this.#holders.get(session) === node) this", "this"],
      [
        "CLU-5",
        "if (holder === node) this.#holders.set",
        "if (this.#holders.get(session) === undefined) this.#holders.set",
      ],
    ],
  },
  "cluster/messages/messenger.ts": {
    tests: ["unit/cluster/messenger.test.ts", SHARED],
    faults: [
      ["CLU-5", "Promise.all([ready, this.#last])", "Promise.all([ready])"],
      ["CLU-6", "if (this.#waiting > MOST_WAITING) {", "if (this.#waiting < 0) {"],
      ["CLU-6", "      this.#waiting -= size + EACH;\n", ""],
      ["CLU-6", "this.#last = turn.catch(() => {});", "this.#last = turn;"],
    ],
  },
  "cluster/forwarding/outgoing.ts": {
    tests: ["unit/cluster/outgoing.test.ts", LOST, PINNED, "wire/cluster_once.test.ts"],
    faults: [
      [
        "CLU-6",
        "if (waiting?.to === from) waiting.onMessage(message);",
        "waiting?.onMessage(message);",
      ],
      ["CLU-5", "n !== this.#received + 1 || ", ""],
      ["CLU-5", " || message.n !== this.#received", ""],
      ["STR-11", "if (begun) over();", ""],
      ["CLU-5", 'new NoAnswer("It is unknown', 'new NotDelivered("It is unknown'],
      [
        "CLU-5",
        "new NoAnswer(\"The node doesn't confirm",
        "new NotDelivered(\"The node doesn't confirm",
      ],
      ["CLU-7", 'new NoAnswer("The node is dead")', 'new NotDelivered("The node is dead")'],
      ["CLU-5", '      waiting.fail(new NotDelivered("The node has left"));\n', ""],
      ["CLU-5", "    this.#ended = true;\n    this.#stopWaiting?.();", "    this.#ended = true;"],
      ["CLU-5", "if (this.#taken || this.#ended) return;", "if (!this.#taken) return;"],
      ["CLU-5", "if (this.#stream) this.#controller?.close();\n    else this", "this"],
      ["END-1", "if (this.#stream && this.#between) this.#enqueue(retryFrame(retryMs));", ""],
      ["CLU-5", "      this.#waiting.delete(id);\n", ""],
    ],
  },
  "cluster/pinned_sessions.ts": {
    tests: [LOST, PINNED, "wire/cluster_outage.test.ts"],
    faults: [
      ["CLU-5", "claimed && renewedAt <= due", "claimed && renewedAt < 0"],
      ["CLU-5", "this.#init.clock.now() >= this.#sureFrom", "true"],
      ["CLU-5", "!== node) return false;", "=== undefined) return false;"],
      ["CLU-7", "if (!present && !reached) this.#lost(node);", ""],
      ["CLU-7", "if (!present && this.#missing.has(node)) {", "if (!present) {"],
      ["CLU-7", "    await nodes.leave(node);\n", ""],
      ["END-2", "    this.#stop?.();\n", ""],
      [
        "CLU-5",
        "if (present && await this.#claim(session)) return;",
        "if (await this.#claim(session)) return;",
      ],
      [
        "CLU-5",
        "    this.#alive = this.#beat();\n    await this.ensureAlive();",
        "    await this.ensureAlive();",
      ],
      ["CLU-8", "      this.#alive = undefined;\n", ""],
    ],
  },
  "cluster/question_responses.ts": {
    tests: ["wire/ask.test.ts", SHARED, STREAMS, PINNED],
    faults: [
      [
        "CLU-2",
        "if (asker === undefined || asker === nodes.node) return unmatched();",
        "return unmatched();",
      ],
      [
        "ASK-1",
        "if (!await nodes.send(asker, message)) unmatched();",
        "await nodes.send(asker, message);",
      ],
    ],
  },
  "cluster/forwarding/sender.ts": {
    tests: ["unit/cluster/sender.test.ts", PINNED],
    faults: [
      ["CLU-5", "[...headers].filter(([name]) => !DROPPED.has(name))", "[...headers]"],
      ["CLU-5", "expiresAt === Infinity ? rest : { ...rest, expiresAt }", "{ ...rest, expiresAt }"],
    ],
  },
  "cluster/messages/sequence_numbers.ts": {
    tests: ["unit/cluster/sequence_numbers.test.ts"],
    faults: [
      [
        "CLU-6",
        "number <= newest - BEHIND || received.has(number)) return false;",
        "received.has(number)) return false;",
      ],
      ["CLU-6", " || received.has(number)) return false;", ") return false;"],
      [
        "CLU-6",
        "if (now - lastAt < this.#keepMs) break;",
        "if (now - lastAt <= this.#keepMs) break;",
      ],
      ["CLU-6", "    sender.lastAt = now;\n", ""],
      ["CLU-6", "this.#senders.size >= MOST_SENDERS", "this.#senders.size > MOST_SENDERS"],
      ["CLU-6", "Math.max(newest, number)", "number"],
      ["CLU-6", "if (received.size > 2 * BEHIND) this.#forget(sender);", ""],
    ],
  },
  "cluster/documents/shared_documents.ts": {
    tests: [SHARED, "wire/cluster_outage.test.ts", "wire/shared_store.test.ts"],
    faults: [
      ["CLU-9", "    this.#init.announce(this.#name);\n", ""],
      ["CLU-9", "if (version === this.#last?.version && text === this.#last.text) return;", ""],
      ["CLU-9", "while (this.#again) {", "if (this.#again) {"],
      ["CLU-9", "      if (this.#applied.size > 0) this.#arm();\n", ""],
      ["CLU-9", "    this.refresh(name);\n    this.#arm();", "    this.#arm();"],
      ["CLU-9", "    this.applied = false;\n", ""],
      ["END-2", "    this.#stop?.();\n", ""],
    ],
  },
  "cluster/messages/sealed_envelope.ts": {
    tests: ["unit/cluster/sealed_envelope.test.ts"],
    faults: [
      ["CLU-12", "return `${LABEL}\\n${line}`;", "return LABEL;"],
      ["CLU-12", "salt: node,", 'salt: "",'],
      ["CLU-12", "BoundedMap<string, CryptoKey>(MOST_KEYS)", "Map<string, CryptoKey>()"],
      [
        "CLU-6",
        "new SequenceNumbers(clock, 2 * WINDOW_MS)",
        "new SequenceNumbers(clock, WINDOW_MS)",
      ],
      ["CLU-6", "at) >= WINDOW_MS", "at) > WINDOW_MS"],
    ],
  },
  "redis/leases.ts": {
    tests: ["contracts/redis.test.ts"],
    faults: [
      ["CLU-4", "if holder ~= ARGV[2] then return 0 end", ""],
      [
        "CLU-4",
        "if holder ~= ARGV[2] and (holder or token >= tonumber(ARGV[4])) then",
        "if holder and holder ~= ARGV[2] then",
      ],
      [
        "CLU-4",
        "if holder ~= ARGV[2] and (holder or token >= tonumber(ARGV[4])) then",
        "if false then",
      ],
      ["CLU-4", "math.max(token + 1, now)", "math.max(token, now)"],
      ["CLU-4", "if held and ARGV[5] == '1' then return false end", ""],
      ["CLU-4", "else this.#lose(holder);\n    }, ", "}, "],
      ["CLU-4", "    this.#remove(holder);\n    try {", "    try {"],
    ],
  },
  "cluster/messages/node_messages.ts": {
    tests: ["wire/cluster_cancel.test.ts", SHARED, STREAMS, PINNED, "wire/shared_store.test.ts"],
    faults: [
      [
        "CLU-2",
        "inflight.cancel(request, reason, agoMs)",
        "inflight.cancel(request, undefined, agoMs)",
      ],
      ["CLU-18", "inflight.cancel(request, reason, agoMs)", "inflight.cancel(request, reason)"],
      ["CLU-3", '?.close("replaced");', ";"],
      ["CLU-2", "return sessions.endedElsewhere(message.session, message.reason);", "return;"],
      ["CLU-9", "return documents.refresh(message.name);", "return;"],
    ],
  },
  "internal/sync_sealer.ts": {
    tests: ["unit/redis/seal.test.ts"],
    faults: [
      ["CLU-12", "this.#writer.left -= 1;", ""],
      ["CLU-12", "BoundedMap<string, KeyObject>(MOST_KEYS)", "Map<string, KeyObject>()"],
      ["CLU-12", "if (text === undefined) continue;", "if (text === undefined) break;"],
    ],
  },
  "redis/events/sealed_events.ts": {
    tests: ["unit/redis/seal.test.ts"],
    faults: [
      [
        "CLU-12",
        "if (own?.session === session && own.stream === stream)",
        "if (own !== undefined)",
      ],
      ["CLU-12", "this.#chars <= MOST_CHARS", "true"],
    ],
  },
  "redis/sessions/session_record.ts": {
    tests: ["unit/redis/seal.test.ts"],
    faults: [["CLU-12", "known !== undefined && known.id !== id ||", ""]],
  },
  "redis/sessions/session_store.ts": {
    tests: ["redis/attack.test.ts"],
    faults: [
      ["CLU-12", "if (record.owner !== undefined && record.owner !== owner)", "if (false)"],
    ],
  },
  "redis/scripts/tasks.ts": {
    tests: ["contracts/redis.test.ts"],
    faults: [
      ["CLU-11", "if not t or t.ended or t.runner ~= ARGV[3] then", "if not t or t.ended then"],
      ["CLU-11", "> ttl / 2 then", "> ttl * 1000 then"],
      ["CLU-11", "if status ~= 'working' then redis.call('HDEL', record, 'rerun') end", ""],
      [
        "EXT-4",
        "if not t or t.owner ~= ARGV[3] then return false end",
        "if not t then return false end",
      ],
      ["CLU-11", "redis.call('ZADD', returned, int(now + ttl), runner)", ""],
      [
        "CLU-11",
        "if tonumber(redis.call('ZSCORE', runners, runner) or 0) > now then return 0 end",
        "",
      ],
      ["CLU-11", "or t.ended or t.runner ~= '' then return 0 end", "or t.ended then return 0 end"],
    ],
  },
  "cluster/memory/tasks.ts": {
    tests: ["contracts/memory.test.ts"],
    faults: [
      ["CLU-11", "if (this.#isAlive(runner)) return;", ""],
      ["CLU-11", "if (now - this.#lastBeat > ttlMs / 2) {", "if (now < 0) {"],
    ],
  },
  "tasks/extension.ts": {
    tests: ["wire/shared_tasks.test.ts"],
    faults: [
      ["EXT-5", "run.canRunAgain) run.abandon(reason);", "run.canRunAgain) run.stop(reason);"],
      ["CLU-11", "if (!arrived) throw unreachable();", ""],
      ["CLU-11", "Math.max(0, createdAt + ttlMs - clock.now())", "ttlMs"],
    ],
  },
  "cluster/tasks/beats.ts": {
    tests: ["wire/shared_tasks.test.ts"],
    faults: [["CLU-11", "if (lapsed) await onLapsed();", ""]],
  },
  "cluster/tasks/writer.ts": {
    tests: ["wire/shared_tasks.test.ts"],
    faults: [["CLU-8", "if (hasEnded(progress) && !useless()) retries", "if (false) retries"]],
  },
  "tasks/run.ts": {
    tests: ["wire/shared_tasks.test.ts"],
    faults: [["EXT-5", "rerun !== undefined && !this.#questions.asked", "rerun !== undefined"]],
  },
};
