/**
 * Faults in what runs and how it stops.
 *
 * @module
 */
import type { FaultsByFile } from "../mutations.ts";

const CANCEL = "wire/cancel.test.ts";
const ASK = "wire/ask.test.ts";
const POLICY = "gateway/policy.test.ts";
const STATE = "wire/modern_state.test.ts";
const SHARES = "wire/shares.test.ts";
/** What every call leaves behind. */
const LEFT_OVER = "wire/left_over.test.ts";

/** The faults of calls. */
export const CALLS: FaultsByFile = {
  "calls/questions/approval.ts": {
    tests: ["unit/server/approval.test.ts", POLICY],
    faults: [
      ["ASK-4", "${escapeInvisible(question)}", "${question}"],
      [
        "ASK-4",
        "escapeInvisible(JSON.stringify(args, undefined, 2))",
        "JSON.stringify(args, undefined, 2)",
      ],
      ["ASK-4", "${clip(text, LONGEST)} (", "${text} ("],
      ["POL-5", "content.approve === true", "true"],
      ["ASK-4", 'action === "accept" && ', ""],
    ],
  },
  "calls/answer.ts": {
    tests: [
      CANCEL,
      "wire/streams.test.ts",
      "wire/shutdown.test.ts",
      "wire/reply_memory.test.ts",
      LEFT_OVER,
      "wire/modern_cancel.test.ts",
      "gateway/rights.test.ts",
    ],
    faults: [
      ["AUTH-6", "if (refusal !== undefined) return this.#decide(refusal);", ""],
      ["STR-1", "    this.#delay?.cancel();\n", ""],
      ["STR-4", "    this.#deferred?.cancel();\n", ""],
      [
        "END-1",
        'reason.kind === "shutdown" ? this.#calls.settings.retryMs : undefined',
        "undefined",
      ],
      [
        "STR-1",
        "this.#inbound.accepts.json ? jsonReply(text, status) : this",
        "!this.#inbound.accepts.sse ? jsonReply(text, status) : this",
      ],
      ["SES-6", 'if (kind === "session-ended") return', 'if (kind === "input-required") return'],
      ["STR-4", "if (this.#left > 0) return;", "if (this.#left > 1) return;"],
      ["CAN-3", "if (text === undefined) return accepted();", ""],
      [
        "STR-11",
        "isModern(this.#inbound.version) ? delays.disconnect : delays.sseAfter",
        "delays.sseAfter",
      ],
      ["STR-1", "for (const text of this.#texts?.splice(0) ?? []) stream.answer(text);", ""],
    ],
  },
  "calls/questions/ask.ts": {
    tests: [ASK, "wire/server.test.ts", LEFT_OVER],
    faults: [
      ["ASK-3", "    unwatch();\n", ""],
      ["ASK-2", "      requireCapability(call, method);\n", ""],
      ["ASK-2", "|| VERSIONS[protocolVersion].elicitation", "|| true"],
      ["ASK-1", "send(text) || session.sendQuestion(text)", "send(text)"],
      ["ASK-1", "else if (!sent) question.abort(noStream());", ""],
      ["ASK-3", 'void sendMessage({ method: "notifications/cancelled", params });', ""],
      ["ASK-3", "if (call.reason !== undefined) throw call.reason;", ""],
      ["ASK-3", "if (call.over) throw noStream();", ""],
      ["ASK-3", 'return () => signal.removeEventListener("abort", abort);', "return () => {};"],
    ],
  },
  "calls/authorize_filter.ts": {
    tests: ["auth/authorize.test.ts", "auth/lists.test.ts", "wire/auth.test.ts"],
    faults: [
      [
        "AUTH-5",
        "if (verdicts.every((verdict) => verdict)) return result;",
        "if (verdicts.some((verdict) => verdict)) return result;",
      ],
      ["AUTH-5", 'cacheScope: "private" } : given', 'cacheScope: "public" } : given'],
      [
        "AUTH-5",
        "if (error instanceof Forbidden || error instanceof Unauthorized) return true;",
        "",
      ],
      ["AUTH-5", "const name = `${method} ${key}`;", "const name = method;"],
      [
        "AUTH-5",
        "return await isAllowed(authorize, principal, authorizedAs);",
        "return await isAllowed(authorize, principal, message);",
      ],
    ],
  },
  "calls/call.ts": {
    tests: [
      CANCEL,
      ASK,
      LEFT_OVER,
      "wire/modern_cancel.test.ts",
      "wire/session.test.ts",
      STATE,
      "wire/streams.test.ts",
      SHARES,
    ],
    faults: [
      ["CAN-3", "    this.#inflight.delete(this);\n", ""],
      ["STR-11", "    slots.give(this.#inbound.share);\n", ""],
      ["STR-15", "slots.give(this.#inbound.share);", "slots.give();"],
      ["CAN-4", "    this.#timeout?.cancel();\n", ""],
      ["CAN-4", "    this.#maxTimeout?.cancel();\n", ""],
      ["CAN-5", "    this.#progress?.stop();\n", ""],
      ["SES-4", "    if (this.#holding) this.#session?.release();\n", ""],
      ["CAN-1", "  #wait(): void {\n    if (this.over) return;", "  #wait(): void {"],
      ["SES-4", "      this.#session.hold();\n", ""],
      [
        "CAN-3",
        "(value) => this.#succeed(value), (error) => this.#fail(error)",
        "(value) => this.#succeed(value)",
      ],
      ["SES-6", 'if (this.#session?.ended) this.stop(new StopError("session-ended"));', ""],
      ["CAN-3", 'if (this.over) return this.#dropped(notification, "finished");', ""],
      [
        "CAN-4",
        "      this.#restartTimeout();\n    }\n    if (this.#answer",
        "    }\n    if (this.#answer",
      ],
      ["CAN-5", "if (answer.streams && settings.progressHeartbeatMs > 0)", "if (answer.streams)"],
      ["ASK-1", "    response.catch(() => {});\n", ""],
      [
        "CAN-6",
        "this.onOver(this.#unwatch);",
        "",
      ],
      [
        "ASK-5",
        "return { owner: this.#inbound.owner, method, params };",
        'return { owner: "", method, params };',
      ],
      [
        "MID-4",
        "const { method, params } = this.#currentRoute;",
        "const { method, params } = this.#route;",
      ],
      [
        "MID-4",
        "const result = hidden !== undefined\n",
        "const result = hidden === null\n",
      ],
      [
        "MID-4",
        "    if (this.#waits) this.#waitForHandOver();\n    return then(this.authorize(route),",
        "    return then(undefined,",
      ],
      [
        "APP-5",
        "      return then(this.authorize(route),",
        "      return then(undefined,",
      ],
      [
        "CAN-6",
        'const isWatched = VERSIONS[this.protocolVersion].era === "2026" ||',
        'const isWatched = (VERSIONS[this.protocolVersion].era === "2026" && !answer.streams) ||',
      ],
      ["CAN-5", 'if (verdict !== "ok") return this.#dropped(notification, verdict);', ""],
      ["CAN-4", "if (settings.timeoutMs > 0) this.#restartTimeout();", ""],
    ],
  },
  "calls/calls.ts": {
    tests: [
      "wire/streams.test.ts",
      CANCEL,
      "wire/modern_cancel.test.ts",
      "wire/shutdown.test.ts",
      LEFT_OVER,
      SHARES,
    ],
    faults: [
      [
        "STR-15",
        "for (let left = taken; left > 0; left--) this.slots.give(share);",
        "",
      ],
      ["CAN-6", "Math.min(settings.sseAfterMs, MOST_DISCONNECT_MS)", "settings.sseAfterMs"],
      [
        "CAN-4",
        "maxTimeout: new DelayLine(clock, settings.maxTimeoutMs)",
        "maxTimeout: new DelayLine(clock, settings.timeoutMs)",
      ],
      ["END-2", "for (const line of Object.values(this.delays)) line.clear();", ""],
      [
        "STR-11",
        "this.slots = new Slots(settings.most, settings.mostPerPrincipal);",
        "this.slots = new Slots(settings.most + 1, settings.mostPerPrincipal);",
      ],
      [
        "STR-15",
        "this.slots = new Slots(settings.most, settings.mostPerPrincipal);",
        "this.slots = new Slots(settings.most);",
      ],
      [
        "STR-15",
        "this.notifications = new Slots(settings.most, settings.mostPerPrincipal);",
        "this.notifications = new Slots(settings.most);",
      ],
      [
        "STR-15",
        "this.notifications = new Slots(settings.most, settings.mostPerPrincipal);",
        "this.notifications = this.slots;",
      ],
      [
        "STR-15",
        'this.slots.full ? "request-limit" : "principal-request-limit"',
        '"request-limit"',
      ],
    ],
  },
  "calls/lifetime/disconnect.ts": {
    tests: ["unit/calls/disconnect.test.ts", "wire/modern_cancel.test.ts", LEFT_OVER],
    faults: [
      ["CAN-6", "    delay.cancel();\n", ""],
      ["CAN-6", '    watched?.removeEventListener("abort", stop);\n', ""],
      ["CAN-6", "if (watched.aborted) stop();\n    else watched", "watched"],
    ],
  },
  "calls/encode_response.ts": {
    tests: [
      "gateway/rights.test.ts",
      "wire/modern_errors.test.ts",
      "wire/bounds.test.ts",
      "wire/server.test.ts",
    ],
    faults: [
      [
        "AUTH-6",
        ": error instanceof MissingScopesError\n",
        ": error instanceof RefusedError\n",
      ],
      [
        "AUTH-6",
        'outcome: "error", errorType, status, refusal };',
        'outcome: "error", errorType, status };',
      ],
      ["ERA-7", "modern ? modernCode(error.code) : error.code", "error.code"],
      ["SRV-2", "if (!isWithinBytes(json, most)) {", "if (json.length > most) {"],
      ["SRV-2", "if (!isWithinBytes(text, most)) {", "if (text.length < 0) {"],
    ],
  },
  "calls/lifetime/inflight.ts": {
    tests: [CANCEL, "wire/shutdown.test.ts", "wire/streams.test.ts"],
    faults: [
      ["CAN-2", "scope.id !== id", "String(scope.id) !== String(id)"],
      ["CAN-2", "scope = scope.next) all.push(scope);", "scope = undefined) all.push(scope);"],
      ["CAN-7", "scope.stop(new StopError(kind))", 'scope.stop(new StopError("cancelled"))'],
      ["CAN-2", 'new StopError("cancelled", detail)', 'new StopError("cancelled")'],
    ],
  },
  "calls/progress.ts": {
    tests: ["unit/calls/progress.test.ts", CANCEL],
    faults: [
      ["CAN-5", "value <= this.#last", "value < this.#last"],
      [
        "CAN-5",
        "params?.progressToken !== this.#token",
        "String(params?.progressToken) !== String(this.#token)",
      ],
      ["CAN-5", "    this.#own = true;\n    this.stop();", "    this.#own = true;"],
      ["CAN-5", "this.#last = 0.001 *", "this.#last = 0.002 *"],
      ["CAN-5", "if (this.#own) return;", ""],
      ["CAN-5", "      this.beat(line, send);\n", ""],
    ],
  },
  "calls/questions/questions.ts": {
    tests: ["unit/calls/questions.test.ts", ASK, LEFT_OVER],
    faults: [
      ["ASK-1", "this.#open.size >= MOST", "this.#open.size > MOST"],
      ["ASK-3", "    question.delay.cancel();\n", ""],
      ["ASK-1", "    this.#open.delete(id);\n", ""],
      ["ASK-1", "randomText(22)}`", "randomText(22).slice(0, 4)}`"],
      ["ASK-1", "result ?? {}", "{}"],
      ["ASK-3", "      expired(id);\n", ""],
    ],
  },
  "calls/lifetime/scope.ts": {
    tests: ["unit/calls/scope.test.ts", CANCEL, ASK, LEFT_OVER],
    faults: [
      ["ASK-3", "return () => this.#listeners?.delete(listener);", "return () => {};"],
      ["ASK-3", 'return () => signal.removeEventListener("abort", listener);', "return () => {};"],
      ["CAN-2", "if (this.#reason !== undefined) this.#controller.abort(this.#reason);", ""],
      [
        "CAN-2",
        "    if (this.#over) return false;\n    this.#over = true;\n    this.#reason = reason;\n    this.stopped",
        "    this.#over = true;\n    this.#reason = reason;\n    this.stopped",
      ],
      [
        "CAN-3",
        "    this.#controller?.abort(reason);\n    this.#notifyOver();",
        "    this.#notifyOver();",
      ],
      ["ASK-3", "() => signal.aborted && listener()", "listener"],
    ],
  },
  "calls/state/state.ts": {
    tests: ["unit/calls/state.test.ts", STATE],
    faults: [
      [
        "ASK-5",
        "opened.until <= this.#options.clock.now()",
        "opened.until < this.#options.clock.now()",
      ],
      ["ASK-5", "canonical([owner, method,", "canonical([method,"],
      ["ASK-5", "canonical([owner, method,", "canonical([owner,"],
      [
        "ASK-5",
        '["_meta", "inputResponses", "requestState"]',
        '["_meta", "inputResponses", "requestState", "arguments"]',
      ],
      ["ASK-5", ".sort(([a], [b]) => (a < b ? -1 : 1))", ""],
      ["ASK-5", "[crypto.getRandomValues(new Uint8Array(32))]", "[new Uint8Array(32)]"],
    ],
  },
  "internal/sealing.ts": {
    tests: ["unit/calls/state.test.ts"],
    faults: [
      ["ASK-5", "crypto.getRandomValues(new Uint8Array(IV_BYTES))", "new Uint8Array(IV_BYTES)"],
      [
        "ASK-5",
        "await encryptBytes(key, iv, about, text)",
        'await encryptBytes(key, iv, "", text)',
      ],
      ["ASK-5", "if (text !== undefined) return text;", "return text;"],
    ],
  },
  "internal/bounded_map.ts": {
    tests: ["unit/internal/bounded_map.test.ts"],
    faults: [
      [
        "GATE-4",
        "    this.delete(key);\n    super.set(key, value);\n    if (this.size <= this.#most)",
        "    this.delete(key);\n    super.set(key, value);\n    if (this.size < this.#most)",
      ],
      ["GATE-4", "    this.delete(key);\n", ""],
      ["GATE-4", "    this.delete(value);\n", ""],
      ["GATE-4", "      this.#onForget?.(forgotten, oldest);\n", ""],
    ],
  },
  "internal/slots.ts": {
    tests: ["unit/internal/slots.test.ts", "wire/shutdown.test.ts"],
    faults: [
      ["STR-11", "this.#taken >= this.#most", "this.#taken > this.#most"],
      ["STR-11", "count >= this.mostEach", "count > this.mostEach"],
      ["STR-11", "else this.#each.delete(owner);", ""],
      ["END-1", "if (this.#taken === 0 && this.#free !== undefined) this.#notifyFree();", ""],
    ],
  },
  "calls/state/single_use.ts": {
    tests: ["unit/calls/single_use.test.ts", "wire/modern_approval.test.ts"],
    faults: [
      ["ASK-5", "until <= clock.now()", "until < clock.now()"],
      ["ASK-5", "if (until <= clock.now()) return false;", ""],
      ["ASK-5", "Math.min(options.ttlMs, LONGEST_MS)", "options.ttlMs"],
      ["ASK-5", "      return first;", "      return true;"],
      ["ASK-5", "holder, 2 * this.#ttlMs)", "holder, this.#ttlMs)"],
      ["ASK-5", "clock, 2 * this.#ttlMs)", "clock, this.#ttlMs)"],
      ["ASK-5", "if (!this.#slots.take(share)) {", "if (!this.#slots.take()) {"],
      ["ASK-5", "        remembered.cancel();\n        this.#slots.give(share);\n", ""],
      ["ASK-5", "        remembered.cancel();\n", ""],
      ["ASK-5", "const holder = randomText(16);", 'const holder = "this";'],
      ["ASK-5", ' || typeof until !== "number") return', ") return"],
      ["ASK-5", "this.#remembered.clear();", ""],
    ],
  },
};
