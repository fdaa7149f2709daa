/**
 * Faults in how the command reads and imports files of MCP clients.
 *
 * @module
 */
import type { FaultsByFile } from "../mutations.ts";

/** The faults of clients' files. */
export const CLIENT_FILES: FaultsByFile = {
  "cli/import/client_config.ts": {
    tests: ["cli/client_config.test.ts"],
    faults: [
      ["CMD-10", "else if (!says(value)) continue;", "else continue;"],
      [
        "CMD-10",
        "return [...dialect.servers, own, ...rest].filter(isStep);",
        "return [first, name];",
      ],
      ["CMD-10", "return freeName(plain, (found) => taken.has(found));", "return plain;"],
      ["CMD-10", "delete result.type;", ""],
      ["CMD-10", "if (misspelt) wrong.set(key, value);", "if (misspelt) continue;"],
      ["CMD-12", ": literal(text),", ": text,"],
      ["CMD-12", 'const shown = named.includes("${") ? named : found;', "const shown = found;"],
    ],
  },
  "cli/import/client_variables.ts": {
    tests: ["cli/client_config.test.ts"],
    faults: [
      ["CMD-11", "if (dollar && bareNames) return found;", ""],
      ["CMD-11", "if (PLAIN.has(program)) {", 'if (program === "cursor") {'],
      ["CMD-11", "if (inputs.size < 2 * MAX_INPUTS) inputs.set(id, input);", ""],
    ],
  },
  "cli/config/config.ts": {
    tests: ["cli/client_config.test.ts"],
    faults: [
      ["CMD-11", "if (input.password && expanded.secrets.length === 0) {", "if (false) {"],
    ],
  },
  "cli/config/env_file.ts": {
    tests: ["cli/client_config.test.ts"],
    faults: [
      ["CMD-12", "line += plain.slice(at, end).split", 'line += "\\n".split'],
      ["CMD-12", "if (rest === null) return undefined;", ""],
    ],
  },
  "cli/import/import.ts": {
    tests: ["cli/import.test.ts"],
    faults: [
      [
        "CMD-13",
        "const replaces = force && own.delete(name);",
        "const replaces = own.delete(name);",
      ],
      ["CMD-13", "if (same !== undefined) {", "if (false) {"],
      ["CMD-13", "await realpath(output).catch(() => output)", "output"],
      ["CMD-13", "if (named || !(error instanceof CliError)) throw error;", "throw error;"],
    ],
  },
  "cli/import/secrets.ts": {
    tests: ["cli/import.test.ts"],
    faults: [
      ["OAPI-18", 'result.auth = credential(auth, "auth", ["auth"])', "result.auth = auth"],
      ["OAPI-18", '["url", "openapi", "baseUrl"]', '["url"]'],
      ["CMD-13", "if (known !== undefined && known !== value) continue;", ""],
      ["CMD-13", 'if (value === "" || value.includes("${")) return value;', ""],
      ["CMD-13", 'const whole = clean(url, "", at, `${prefix}_URL`);', "const whole = url;"],
    ],
  },
};
