/**
 * Faults in what an MCP server answers.
 *
 * @module
 */
import type { FaultsByFile } from "../mutations.ts";

const APPROVAL = "unit/server/approval.test.ts";
const MODERN_APPROVAL = "wire/modern_approval.test.ts";
const DOWNGRADE = "unit/protocol/downgrade.test.ts";

/** The faults of servers. */
export const SERVER: FaultsByFile = {
  "internal/invisible.ts": {
    tests: ["unit/internal/invisible.test.ts"],
    faults: [
      ["ASK-4", "[0x7f, 0x9f]", "[0x80, 0x9f]"],
      ["ASK-4", "[0x2028, 0x202e]", "[0x2028, 0x202d]"],
      ["ASK-4", "[0xe0000, 0xe0fff]", "[0xe0000, 0xe0fef]"],
      ["ASK-4", "[0xd800, 0xdfff]", "[0xd800, 0xdbff]"],
      ["ASK-4", String.raw`|\\r(?!\\n)`, ""],
      ["ASK-4", '"gu");', '"u");'],
      ["ASK-4", "at < character.length; at++", "at < 1; at++"],
      ["ASK-4", 'padStart(4, "0")', "toString()"],
    ],
  },
  "protocol/downgrade.ts": {
    tests: [DOWNGRADE, "wire/output_schema.test.ts"],
    faults: [
      ["GTW-13", "version < since;", "version <= since;"],
      ["GTW-13", "execution: undefined", 'execution: "2025-11-25"'],
      ["GTW-13", "property ? {} : { not: {} }", "{}"],
      ["GTW-13", ", ...annotations !== undefined && { annotations } };", " };"],
      ["SRV-7", "if (!wraps && isObject(data))", "if (isObject(data))"],
      ["SRV-7", "if (!unknown.anyData || data === undefined)", "if (!unknown.anyData || !data)"],
      ["SRV-7", "{ ...withDataText(result), structuredContent", "{ ...result, structuredContent"],
      ["SRV-7", 'block.type === "text")) return result;', "isObject(block))) return result;"],
      [
        "GTW-13",
        "if (!unknown.content || !Array.isArray(messages)) return result;",
        "return result;",
      ],
    ],
  },
  "server/schemas/basic_json_schema.ts": {
    tests: ["unit/server/basic_json_schema.test.ts"],
    faults: [
      [
        "SRV-8",
        "if (keyword === undefined) throw unsupported(name, what);",
        "if (!keyword) continue;",
      ],
      ["SRV-8", "if (!DIALECTS.has($schema)) throw", "if (false) throw"],
      [
        "SRV-8",
        "const json: JsonObject = JSON.parse(JSON.stringify(schema));",
        "const json = schema;",
      ],
      ["SRV-2", "n > limit, (limit)", "n >= limit, (limit)"],
      ["SRV-2", "countOf(value) : undefined", "value.length : undefined"],
      ["SRV-2", "if (matches > most) return", "if (false) return"],
      ["SRV-2", "if (known.has(name) || !has", "if (!has"],
      ["SRV-2", " && value[name] !== undefined;", ";"],
      ["GATE-8", "countOf(value) > maxLength) return;", "false) return;"],
      ["SRV-2", "&& date.toISOString().startsWith(text);", ";"],
    ],
  },
  "protocol/output_schema.ts": {
    tests: [DOWNGRADE, "wire/output_schema.test.ts"],
    faults: [
      ["SRV-7", "parts.length > 0 && ", ""],
      ["SRV-7", "parts.every(is)", "parts.some(is)"],
      ["SRV-7", "allOf.some(is)", "allOf.every(is)"],
      ["SRV-7", "DATA.has(key) ? value : moved", "moved"],
      ["SRV-7", "if (isNames) return [key, moved(value, false)];", ""],
      ["SRV-7", ' && !$id.startsWith("#")', ""],
      ["SRV-7", "    required: [MEMBER],\n", ""],
      ["SRV-7", 'key === "$recursiveRef" ? "$ref" : key', "key"],
    ],
  },
  "server/questions/approval.ts": {
    tests: [APPROVAL, MODERN_APPROVAL],
    faults: [
      ["ASK-4", "    exchange.signal.throwIfAborted();\n", ""],
      ["ASK-4", "      throw reason;\n", ""],
      ["ASK-4", "if (needed === false) return true;", "if (!needed) return true;"],
      ["ASK-4", "if (!(error instanceof McpError)) {", "if (error instanceof McpError) {"],
    ],
  },
  "server/questions/rounds.ts": {
    tests: ["unit/server/rounds.test.ts", MODERN_APPROVAL],
    faults: [
      ["ASK-5", "state === undefined && key !== APPROVAL_KEY", "state === undefined"],
      ["ASK-5", "state === undefined && key !== APPROVAL_KEY", "key !== APPROVAL_KEY"],
      ["ASK-5", "answers.has(APPROVAL_KEY) || ", ""],
      ["ASK-5", " || this.#pending.has(APPROVAL_KEY)", ""],
      ["ASK-5", "isObject(result) && (hash", "(hash"],
      ["ASK-5", " || answer.hash === question.hash) return", ") return"],
      ["ASK-5", "answer.hash === undefined || answer.hash === question.hash", "true"],
      ["ASK-5", "before.hash === hash ? before.reply", "hash ? before.reply"],
      ["ASK-5", "if (this.#ended) return reject(this.#exchange.signal.reason);", ""],
      ["ASK-5", "answers: Object.fromEntries(answers)", "answers: {}"],
      ["ASK-5", "    reply.catch(() => {});\n", ""],
    ],
  },
  "server/features/tools.ts": {
    tests: [
      "gateway/rights.test.ts",
      "unit/server/tools.test.ts",
      APPROVAL,
      "auth/authorize.test.ts",
    ],
    faults: [
      ["AUTH-6", "      scopes: config.scopes,\n", ""],
      [
        "AUTH-6",
        'if (config.scopes !== undefined) checkScopes(`scopes of "${name}"`, config.scopes);',
        "",
      ],
      [
        "SRV-2",
        "if (checked.issues !== undefined) return invalidArguments(tool, checked.issues);",
        "",
      ],
      [
        "ASK-4",
        "if (approved) return run(tool, args, exchange, ctx);",
        "if (approval) return run(tool, args, exchange, ctx);",
      ],
      ["SRV-2", " || result.isError === true", ""],
    ],
  },
};
