/**
 * Reads the frontmatter of a `SKILL.md`: the YAML between two lines of three dashes (Agent Skills,
 * SKILL.md format).
 *
 * @module
 */
import { optional } from "../internal/installed.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";

const yamlPackage = await optional("yaml", import("yaml"));

/** The fields that an author wrote about a skill. */
export interface SkillFrontmatter extends JsonObject {
  /**
   * Names the skill: lowercase letters, digits and single hyphens between them, at most 64
   * characters.
   */
  readonly name: string;
  /** What the skill does and when to use it: at most 1,024 characters. */
  readonly description: string;
}

const OPENING = /^---\r?\n/;
const CLOSING = /^---[ \t]*\r?$/m;
const NAME = /^[a-z0-9]+(?:-[a-z0-9]+)*$/;
const LONGEST = 65_536;
const LONGEST_NAME = 64;
const LONGEST_DESCRIPTION = 1_024;

/**
 * Reads the frontmatter of a `SKILL.md`, every field as its author wrote it.
 *
 * @param text The whole file
 * @throws {TypeError} If there is no frontmatter, it isn't plain YAML, or the name or description
 * is missing or invalid
 */
export function readFrontmatter(text: string): SkillFrontmatter {
  const fields = parse(yamlOf(text));
  const { name, description } = fields;
  if (typeof name !== "string" || name.length > LONGEST_NAME || !NAME.test(name)) {
    const rule = `lowercase letters, digits and single hyphens, at most ${LONGEST_NAME}`;
    throw new TypeError(`Give the skill a "name" of ${rule}: ${JSON.stringify(name)}`);
  }
  if (
    typeof description !== "string" || description.trim() === "" ||
    description.length > LONGEST_DESCRIPTION
  ) {
    throw new TypeError(
      `Give the skill a "description" of 1 to ${LONGEST_DESCRIPTION} characters: ${name}`,
    );
  }
  return { ...fields, name, description };
}

function yamlOf(text: string): string {
  // A byte order mark is not part of the text
  const whole = text.startsWith("\ufeff") ? text.slice(1) : text;
  const opening = OPENING.exec(whole)?.[0];
  if (opening === undefined) {
    throw new TypeError('Begin SKILL.md with a line of "---", followed by YAML');
  }
  const rest = whole.slice(opening.length, opening.length + LONGEST);
  const end = rest.search(CLOSING);
  if (end === -1) {
    throw new TypeError(
      `End the YAML of SKILL.md with a line of "---" within ${LONGEST} characters`,
    );
  }
  return rest.slice(0, end);
}

/**
 * Parses YAML that could be JSON: no aliases, which can grow without bound, and no types that JSON
 * lacks.
 */
function parse(yaml: string): JsonObject {
  const { parseDocument } = yamlPackage();
  let value: unknown;
  try {
    const document = parseDocument(yaml, {
      logLevel: "error",
      resolveKnownTags: false,
      stringKeys: true,
    });
    const [problem] = [...document.errors, ...document.warnings];
    if (problem !== undefined) throw problem;
    value = document.toJS({ maxAliasCount: 0 });
  } catch (error) {
    const [why] = String(error instanceof Error ? error.message : error).split("\n");
    throw new TypeError(`Write plain YAML at the top of SKILL.md: ${why}`, { cause: error });
  }
  if (isObject(value) && isJson(value)) return value;
  throw new TypeError(
    "Write only fields with JSON values at the top of SKILL.md",
  );
}

function isJson(value: unknown): boolean {
  if (typeof value === "number") return Number.isFinite(value);
  if (Array.isArray(value)) return value.every(isJson);
  if (isObject(value)) return Object.values(value).every(isJson);
  return value === null || typeof value === "string" || typeof value === "boolean";
}
