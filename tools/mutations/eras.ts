/**
 * Faults in what only one era has.
 *
 * @module
 */
import type { FaultsByFile } from "../mutations.ts";

const SESSION = "wire/session.test.ts";
const STREAMS = "wire/streams.test.ts";
const LENGTHS = "unit/http/lengths.test.ts";
const SHUTDOWN = "wire/shutdown.test.ts";

/** The faults of the eras. */
export const ERAS: FaultsByFile = {
  "era2025/delete.ts": {
    tests: [SESSION, "wire/attack_table.test.ts"],
    faults: [
      ["SES-7", "if (refused !== undefined) return refused;", ""],
      ["SES-6", '? ENDED : sessionNotFound("session-unknown")', "? ENDED : ENDED"],
    ],
  },
  "era2025/get.ts": {
    tests: [
      STREAMS,
      SHUTDOWN,
      "wire/cluster_streams.test.ts",
      "wire/cluster_pinned.test.ts",
      "faults/store.test.ts",
      "wire/store_timing.test.ts",
      SESSION,
    ],
    faults: [
      ["STR-8", "      closed = true;\n      release();\n", "      closed = true;\n"],
      ["STR-8", 'connected?.close("replaced");', ""],
      ["STR-8", 'secondGet === "reject"', "secondGet === undefined"],
      [
        "STR-7",
        "for (const hint of hints) await sessions.serverStreams.push(session.id, hint);",
        "",
      ],
      ["STR-6", "if (complete && !session.noteFinished(stream)) return nothingFollows();", ""],
      ["CLU-3", 'cluster.publish({ kind: "resumed", session: session.id, stream });', ""],
      [
        "STR-8",
        "      release();\n      return serverBusy",
        "      return serverBusy",
      ],
      [
        "STR-6",
        "if (stream === SERVER_STREAM) return await openServerStream(components, reader, after);",
        "",
      ],
      ["STR-8", "(replaced ? sseReplyOf() : undefined)", "undefined"],
      ["STR-8", "  } catch (error) {\n    release();\n", "  } catch (error) {\n"],
      ["SES-7", "if (refused !== undefined) return refused;", ""],
      ["STR-7", "if (session.connections.has(SERVER_STREAM)) return sseReplyOf(...hints);", ""],
      [
        "STR-8",
        "    if (late !== undefined) {\n      release();\n",
        "    if (late !== undefined) {\n",
      ],
    ],
  },
  "era2025/initialize.ts": {
    tests: [
      SESSION,
      SHUTDOWN,
      "wire/cluster_pinned.test.ts",
      "wire/cluster_shared.test.ts",
      "faults/store.test.ts",
      LENGTHS,
    ],
    faults: [
      ["SES-1", 'handshake.outcome === "result" && begin(', "begin("],
      [
        "SES-5",
        "    await sessions.store.release(session.id);\n",
        "",
      ],
      [
        "STR-11",
        '      calls.slots.give(inbound.share);\n      return serverBusy("session-limit"',
        '      return serverBusy("session-limit"',
      ],
      [
        "STR-11",
        '      calls.slots.give(inbound.share);\n      return storeUnavailable("reserving',
        '      return storeUnavailable("reserving',
      ],
      [
        "SES-5",
        'serverBusy("session-limit", message.id, 30)',
        'serverBusy("session-limit", message.id)',
      ],
      ["SES-7", "?? latest;", "?? versions.at(-1);"],
      ["CLU-5", "if (session.claimed) cluster.pinned?.release(session.id);", ""],
      ["CLU-9", "if (cluster.draining && sessionful) return draining(inbound);", ""],
      ["CLU-9", "if (cluster.draining && sessionful)", "if (cluster.draining)"],
      ["SES-1", "  sessions.live.delete(session.id);\n", ""],
      [
        "SES-5",
        "calls.admit(inbound.share, message.id)",
        "undefined",
      ],
      ["STR-16", "if (tooLong !== undefined) return tooLong;", ""],
    ],
  },
  "calls/notification.ts": {
    tests: ["wire/shares.test.ts", SESSION, "gateway/alone.test.ts"],
    faults: [
      ["STR-15", "!slots.take(share)", "!slots.take()"],
      ["STR-15", "else handled.then(() => slots.give(share));", ""],
      [
        "STR-15",
        "if (handled === undefined) slots.give(share);\n  else handled.then",
        "handled?.then",
      ],
      [
        "STR-15",
        'slots.full ? "notification-limit" : "principal-notification-limit"',
        '"notification-limit"',
      ],
    ],
  },
  "era2025/messages.ts": {
    tests: [
      "wire/cancel.test.ts",
      SESSION,
      "wire/cluster_cancel.test.ts",
      "wire/cluster_shared.test.ts",
      "wire/cluster_streams.test.ts",
      "wire/store_timing.test.ts",
      "wire/shares.test.ts",
    ],
    faults: [
      [
        "CLU-2",
        "else cluster.publishAgain((agoMs) => ({ ...message, agoMs }));",
        "",
      ],
      [
        "CAN-2",
        "session.inflight.cancel(requestId, detail);",
        "session.inflight.cancel(requestId);",
      ],
      ["CAN-2", "if (!isRequestId(requestId)) return;", "if (!requestId) return;"],
      ["SES-9", "record.initialized === true) return;", "record.initialized) return;"],
    ],
  },
  "era2025/post.ts": {
    tests: [
      SESSION,
      "wire/gate.test.ts",
      SHUTDOWN,
      "wire/cluster_outage.test.ts",
      "wire/streams.test.ts",
      "wire/store_timing.test.ts",
    ],
    faults: [
      [
        "GATE-10",
        "if (!VERSIONS[inbound.version].batch) return",
        "if (inbound === undefined) return",
      ],
      ["GATE-10", 'requests.some(({ method }) => method === "initialize")', "requests.length < 0"],
      ["END-1", "if (calls.closing && requests.length > 0) return shuttingDown();", ""],
      ["END-1", "if (components.calls.closing) return", "if (components === undefined) return"],
      ["SES-7", "if (refused !== undefined) return refused;", ""],
      [
        "CLU-8",
        '(error) => storeUnavailable("noting that a client is initialized", error)',
        "accepted",
      ],
      ["STR-1", "const open = accepts.sse ? ", "const open = accepts ? "],
    ],
  },
  "era2025/version.ts": {
    tests: [SESSION, "wire/era.test.ts"],
    faults: [
      ["SES-7", " || !served.includes(header)", ""],
      ["SES-7", "if (negotiated !== undefined) {", "if (negotiated === header) {"],
      ["SES-7", "negotiated ?? ASSUMED_VERSION", "ASSUMED_VERSION"],
    ],
  },
  "era2026/post.ts": {
    tests: [
      "wire/modern_era.test.ts",
      "wire/modern_headers.test.ts",
      "wire/modern_errors.test.ts",
      "wire/modern_cancel.test.ts",
      SHUTDOWN,
      "auth/authorize.test.ts",
      LENGTHS,
    ],
    faults: [
      [
        "ERA-3",
        "inbound.versionHeader !== version",
        "inbound.versionHeader === null",
      ],
      ["ERA-3", "if (version !== VERSION) return unsupportedVersion(id, version, versions);", ""],
      ["ERA-6", "if (isForeignMethod(method)) return methodNotFound(id);", ""],
      [
        "CAN-6",
        "openDirectReply(streams, { share, expiresAt, onLost })",
        "openDirectReply(streams, { share, expiresAt })",
      ],
      ["AUTH-5", "hidden === undefined ? route?.headerParams", "method ? route?.headerParams"],
      ["END-1", "if (calls.closing) return shuttingDown(message.id);", ""],
      ["STR-11", "components.calls.admit(inbound.share, message.id)", "undefined"],
      [
        "STR-16",
        "if (tooLong !== undefined) return refuse(id, ErrorCode.InvalidParams, tooLong);",
        "",
      ],
      [
        "ERA-3",
        'if (content.kind === "notification") return takeNotification(calls, inbound, content.message);',
        "",
      ],
      [
        "ERA-3",
        "return checkParamHeaders(headers, params.arguments, repeated);",
        "return undefined;",
      ],
      ["ERA-6", "  inbound.logLevel = logLevel;\n", ""],
      [
        "AUTH-5",
        "return inbound.hidden === undefined\n      ? subscriptions",
        "return inbound.hidden !== null\n      ? subscriptions",
      ],
    ],
  },
  "era2026/subscriptions.ts": {
    tests: ["wire/modern_listen.test.ts", "wire/modern_listen_extensions.test.ts"],
    faults: [
      ["ERA-5", "        stopExpiry?.();\n", ""],
      ["ERA-5", "        this.#slots.give(share);\n", ""],
      ["ERA-5", "        this.#open.delete(subscription);\n", ""],
      ["ERA-5", "uris.has(uri)", "uris.size > 0"],
      ["ERA-5", " && offered.has(method)) methods", ") methods"],
      ["ERA-5", "uris.length > most", "uris.length >= most"],
      ["ERA-5", "callAt(clock, principal.expiresAt, ", "callAt(clock, undefined, "],
      ["ERA-5", "{ ...meta, ...this.#meta }", "{ ...this.#meta, ...meta }"],
      ["ERA-5", "dispatcher.resourceUpdates === true ? uris : []", "uris"],
      ["ERA-5", "    this.#connection.close(reason);\n", ""],
      ["ERA-5", "if (missing !== undefined) {", "if (missing === null) {"],
      ["ERA-5", "if (!enabled) return", "if (enabled === undefined) return"],
    ],
  },
  "protocol/headers.ts": {
    tests: ["unit/protocol/headers.test.ts", "wire/modern_headers.test.ts"],
    faults: [
      [
        "ERA-3",
        "if (headers.get(HeaderName.Method) !== method) {",
        "if (headers.get(HeaderName.Method) === null) {",
      ],
      [
        "ERA-3",
        "decodeHeader(header) === name) return undefined;",
        "decodeHeader(header)?.startsWith(name)) return undefined;",
      ],
      ["ERA-3", "if (sent !== null) return `Leave", "if (sent === undefined) return `Leave"],
      ["ERA-3", "DECIMAL.test(text) && Number(text) === value", "Number(text) === value"],
      ["ERA-3", "|| !Object.hasOwn(value, key)", ""],
      ["ERA-3", "BASE64.test(base64) ? fromBase64(base64) : undefined", "fromBase64(base64)"],
    ],
  },
};
