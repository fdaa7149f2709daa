/**
 * Serves skills: directories of instructions and related files, beside the tools that they are
 * about (the Skills extension, `io.modelcontextprotocol/skills`).
 *
 * {@linkcode skills} creates the extension, `server.use` adds it, and `registerSkill` offers a
 * skill: a directory with a `SKILL.md` as the Agent Skills specification defines it, or the same in
 * memory. Every file becomes a resource, `skill://<name>/<path>`; clients find skills by
 * `skills/list` and `skills/get`, list their directories, and verify what they read by its SHA-256
 * digest.
 *
 * @example
 * ```ts
 * import { McpServer } from "@mooring/mcp";
 * import { skills } from "@mooring/mcp/skills";
 *
 * const server = new McpServer({ name: "demo", version: "1.0.0" });
 * const library = server.use(skills());
 *
 * const refunds = await library.registerSkill({
 *   "SKILL.md": `---
 * name: refunds
 * description: Pays customers back. Use it when somebody wants their money.
 * ---
 *
 * Answer with one of the letters in \`letters/\`.
 * `,
 *   "letters/yes.md": "Dear customer, here it is.",
 * }, { prefix: "acme" });
 *
 * console.assert(refunds.uri === "skill://acme/refunds/SKILL.md");
 * ```
 *
 * @example From a directory
 * ```ts ignore
 * const git = await library.registerSkill("./skills/git-workflow");
 * // Later, when the files have changed
 * await git.update();
 * ```
 *
 * @module
 */
export {
  type RegisterSkillOptions,
  type SkillHandle,
  type Skills,
  skills,
  type SkillsLimits,
  type SkillsOptions,
} from "./skills.ts";
export type { SkillFiles } from "./files.ts";
