/**
 * Faults in what every request passes before authentication.
 *
 * @module
 */
import type { FaultsByFile } from "../mutations.ts";

const GATE = "wire/gate.test.ts";

/** The faults of the gates. */
export const GATES: FaultsByFile = {
  "http/cors.ts": {
    tests: ["unit/http/cors.test.ts", GATE],
    faults: [
      [
        "GATE-12",
        " || !originAllowed(inbound, origin, settings)) return reply;",
        ") return reply;",
      ],
      ["GATE-12", "WWW-Authenticate, DPoP-Nonce, Retry-After", "WWW-Authenticate"],
      ["GATE-12", '  "last-event-id",\n', ""],
      ["GATE-12", "if (PARAM_HEADER.test(name.trim())) names", "names"],
    ],
  },
  "http/gates/accept.ts": {
    tests: ["unit/http/accept.test.ts", GATE],
    faults: [
      ["GATE-6", 'weigh(ranges, "application/json", "application/*") > 0', "true"],
      ["GATE-6", "Math.max(...weights)", "Math.min(...weights)"],
      ["GATE-6", '[type, group, "*/*"]', '["*/*", group, type]'],
      ["GATE-6", "(accepts.json && isPost)", "accepts.json"],
      ["GATE-6", "let weight = 1;", "let weight = 0;"],
    ],
  },
  "http/gates/authority.ts": {
    tests: ["unit/http"],
    faults: [
      ["GATE-2", "if (rule.port !== undefined && rule.port !== port) return false;", ""],
      ["GATE-2", "host.endsWith(rule.below)", "host.endsWith(rule.host)"],
      ["GATE-2", "const lower = text.toLowerCase();", "const lower = text;"],
    ],
  },
  "http/gates/arrivals.ts": {
    tests: ["unit/http/body.test.ts", "unit/http/body_budget.test.ts", "wire/bounds.test.ts"],
    faults: [
      ["GATE-8", "declared > bodyBytes) return", "declared >= bodyBytes) return"],
      ["GATE-8", "if (end > limit) {", "if (end >= limit) {"],
      ["GATE-8", "this.#reader?.cancel().catch(() => {});", ""],
      ["GATE-8", "this.stop(TOO_LARGE);", "this.#end(TOO_LARGE);"],
      ["GATE-8", "this.#line.begin(arrival);", ""],
      ["GATE-8", "    this.cancel();\n", ""],
      ["STR-16", "if (isMissing(body)) this.#arrivals.release(this.#inbound);", ""],
      ["STR-16", "    inbound.heldBytes = 0;\n", ""],
      ["STR-16", "this.#held -= inbound.heldBytes;", "this.#held = 0;"],
      ["STR-16", "const more = bytes - this.#inbound.heldBytes;", "const more = bytes;"],
      [
        "STR-16",
        "this.#held > this.#settings.totalBodyBytes",
        "this.#held >= this.#settings.totalBodyBytes",
      ],
      ["STR-16", "oldest.stop(NO_ROOM);", "return oldest.stop(NO_ROOM);"],
      ["STR-16", "if (!this.hold(size)) return NO_ROOM;", ""],
      ["STR-16", "declared === undefined || declared > MOST_TEXT_BYTES", "declared === undefined"],
      ["STR-16", "arrival.hold(declared)", "arrival.hold(0)"],
    ],
  },
  "http/gates/body.ts": {
    tests: ["unit/http/body.test.ts", "wire/bounds.test.ts"],
    faults: [
      ["GATE-8", "isWithinBytes(body, limit) ? body", "body.length <= limit ? body"],
      ["GATE-8", 'headers: { connection: "close" },', ""],
      ["GATE-9", "if (hasReplaced(body, inbound)) return notUtf8();", ""],
      ["GATE-9", " && length !== declared - MARK_BYTES", ""],
    ],
  },
  "http/gates/content_type.ts": {
    tests: ["unit/http/content_type.test.ts", GATE],
    faults: [
      [
        "GATE-6",
        '.toLowerCase() === "application/json"',
        '.toLowerCase().startsWith("application/json")',
      ],
      ["GATE-6", "essence.trim().toLowerCase()", "essence.trim()"],
    ],
  },
  "http/gates/health.ts": {
    tests: ["unit/http/health.test.ts", GATE],
    faults: [
      ["GATE-1", ' || inbound.method !== "GET"', ""],
      ["GATE-1", "isClosing ? CLOSING : HEALTHY", "HEALTHY"],
      ["GATE-1", "path !== healthPath", '!path.startsWith(healthPath ?? "-")'],
    ],
  },
  "http/gates/host.ts": {
    tests: ["unit/http/host.test.ts", GATE],
    faults: [
      [
        "GATE-3",
        "if (authority === undefined) return false;",
        "if (authority === undefined) return true;",
      ],
      ["GATE-3", " || matchesHost(rule, host, 443)", ""],
      ["GATE-3", "if (port === undefined && (", "if (("],
    ],
  },
  "internal/json_depth.ts": {
    tests: ["unit/http/json.test.ts", GATE],
    faults: [
      ["GATE-9", "++depth > maxDepth", "++depth >= maxDepth"],
      ["GATE-9", "if (code === BACKSLASH) i++;\n      else if", "if"],
      ["GATE-9", "      depth--;\n", ""],
      ["GATE-9", "text.length < 2 * (maxDepth + 1)", "text.length <= 2 * (maxDepth + 1)"],
      ["GATE-9", "maxDepth + 1 - arrays) <= maxDepth", "maxDepth + 1 - arrays) <= maxDepth + 1"],
    ],
  },
  "http/gates/jsonrpc.ts": {
    tests: ["unit/http/jsonrpc.test.ts", GATE],
    faults: [
      ["GATE-10", "values.length > maxBatch", "values.length >= maxBatch"],
      ["GATE-10", "if (values.length === 0)", "if (values.length < 0)"],
    ],
  },
  "http/gates/method.ts": {
    tests: ["unit/http/method.test.ts", GATE],
    faults: [
      ["GATE-5", "headers: { allow },", ""],
      ["GATE-12", " && settings.cors) return preflight", ") return preflight"],
    ],
  },
  "http/gates/order.ts": {
    tests: ["unit/http/order.test.ts", GATE, "wire/attack_table.test.ts"],
    faults: [
      [
        "GATE-1",
        "checkHealth(inbound, path, settings, this.#isClosing) ?? checkPath(path, settings)",
        "checkPath(path, settings) ?? checkHealth(inbound, path, settings, this.#isClosing)",
      ],
      ["GATE-2", "checkOrigin(inbound, this.#settings) ??", ""],
      ["GATE-4", "refused ?? this.#passMethod(inbound)", "refused"],
      [
        "GATE-7",
        "(requiredHeader && checkRequired",
        '(requiredHeader && method === "POST" && checkRequired',
      ],
      [
        "GATE-6",
        '(method === "DELETE" ? undefined : checkAccept(inbound))',
        '(method === "POST" ? checkAccept(inbound) : undefined)',
      ],
    ],
  },
  "internal/loopback.ts": {
    tests: ["unit/internal/loopback.test.ts", "unit/http/origin.test.ts"],
    faults: [
      ["GATE-2", "Number(byte) <= 255", "Number(byte) <= 256"],
      ["GATE-3", 'if (host === "::1" || ', "if ("],
      ["GATE-2", "?? false", "?? true"],
      ["GATE-2", String.raw`= /^127\.`, String.raw`= /127\.`],
      ["GATE-2", String.raw`([0-9]{1,3})$/;`, String.raw`([0-9]{1,3})/;`],
    ],
  },
  "http/gates/origin.ts": {
    tests: ["unit/http/origin.test.ts", GATE],
    faults: [
      ["GATE-2", '&& isLoopback(parseAuthority(hostOf(inbound))?.host ?? "")', ""],
      ["GATE-2", "return web && isLoopback(host)", "return isLoopback(host)"],
      ["GATE-2", "? !web : rule.scheme !== scheme", "? !web : false"],
      ["GATE-2", "? !web : rule.scheme !== scheme", "? false : rule.scheme !== scheme"],
      ["GATE-2", "origin.slice(0, at).toLowerCase()", "origin.slice(0, at)"],
    ],
  },
  "http/gates/origin_rule.ts": {
    tests: ["unit/http/origin.test.ts", GATE],
    faults: [
      ["GATE-2", ' || (scheme === undefined && host.host === "null")', ""],
      [
        "GATE-2",
        "isDefault ? `${one}://${host}` : `${one}://${host}:${port}`",
        "`${one}://${host}`",
      ],
    ],
  },
  "http/gates/path.ts": {
    tests: ["unit/http/path.test.ts", GATE],
    faults: [
      ["GATE-13", "|| isSamePath(path, settings.path)", "|| path.startsWith(settings.path)"],
      [
        "GATE-13",
        "path === other || withoutEndSlash(path) === withoutEndSlash(other)",
        "path === other",
      ],
    ],
  },
  "http/gates/rate_limit.ts": {
    tests: ["unit/http/rate_limit.test.ts", GATE],
    faults: [
      ["GATE-4", "decision.allowed === true", "decision.allowed !== false"],
      ["GATE-4", "Math.ceil((retryAfterMs", "Math.floor((retryAfterMs"],
      ["GATE-4", "headers: seconds > 0", "headers: seconds >= 0"],
      ["GATE-4", ".then(undefined, failed)", ".then(undefined, () => undefined)"],
      ["GATE-4", '{ during: "rate-limit", error }', "undefined"],
    ],
  },
  "http/gates/required_header.ts": {
    tests: ["unit/http/required_header.test.ts"],
    faults: [["GATE-7", "value === required.value)", "value.startsWith(required.value))"]],
  },
  "http/gates/token_bucket.ts": {
    tests: ["unit/http/token_bucket.test.ts"],
    faults: [
      ["GATE-4", "const allowed = waitMs <= 0;", "const allowed = waitMs < -1;"],
      ["GATE-4", "new BoundedMap(maxKeys)", "new BoundedMap(maxKeys - 1)"],
      ["GATE-4", "allowed ? full + this.#tokenMs : full", "full + this.#tokenMs"],
      ["GATE-4", ", now + this.#fullMs);", ", Infinity);"],
    ],
  },
  "protocol/jsonrpc.ts": {
    tests: ["unit/http/jsonrpc.test.ts", GATE],
    faults: [
      ["GATE-10", ' || method === "") return undefined;', ") return undefined;"],
      ["GATE-10", "Number.isSafeInteger(value)", 'typeof value === "number"'],
      [
        "GATE-10",
        "if (value.result !== undefined || value.error !== undefined) return undefined;",
        "",
      ],
      ["GATE-10", "if (result !== undefined || !isObject(error))", "if (!isObject(error))"],
    ],
  },
  "protocol/lengths.ts": {
    tests: ["unit/http/lengths.test.ts", "wire/session.test.ts"],
    faults: [
      ["STR-16", "return length * 3 <= NAME_BYTES;", "return length <= NAME_BYTES;"],
      [
        "STR-16",
        "if (bodyLength * 3 <= CLIENT_BYTES) return undefined;",
        "if (bodyLength <= CLIENT_BYTES) return undefined;",
      ],
      ["STR-16", 'kind !== "notification" && !isWithin', 'kind === "request" && !isWithin'],
      [
        "STR-16",
        "if (!isWithin(method, NAME_BYTES)) return",
        "if (!isWithin(method, URI_BYTES)) return",
      ],
      ["STR-16", "LIMITS.get(method) ?? ANY_METHOD", "LIMITS.get(method) ?? []"],
      ["STR-16", '    { path: ["reason"], most: NAME_BYTES },\n', ""],
      ["STR-16", '  ["resources/unsubscribe", URI],\n', ""],
      ["STR-16", '  ["tasks/update", TASK_ID],\n', ""],
      ["STR-16", '["uri"], most: URI_BYTES }', '["uri"], most: NAME_BYTES }'],
      ["STR-16", "isWithinBytes(value, most)", "value.length <= most"],
      ["STR-16", 'typeof part === "string" && !isWithinBytes(part, most)', "part === value"],
    ],
  },
};
