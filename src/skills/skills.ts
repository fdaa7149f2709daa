/**
 * Makes the Skills extension.
 *
 * @module
 */
import { integerOption } from "../internal/check.ts";
import type { Extension } from "../server/extension.ts";
import { type CacheHint, checkCacheHint } from "../server/modern.ts";
import { SkillsExtension } from "./extension.ts";
import type { SkillFiles } from "./files.ts";

/** Options for {@linkcode skills}. */
export interface SkillsOptions {
  /**
   * How long clients may keep lists, entries and files.
   *
   * @default {{ ttlMs: 0, cacheScope: "private" }}
   */
  readonly cache?: CacheHint;
  /** How much there may be. */
  readonly limits?: SkillsLimits;
}

/** How much there may be of skills. That one skill has at most 512 files and 16 MiB is a rule of MCP. */
export interface SkillsLimits {
  /**
   * How many skills there may be.
   *
   * @default {1_000}
   */
  readonly skills?: number;
  /**
   * How many bytes the files of all skills may have together; they are kept in memory.
   *
   * @default {268_435_456}
   */
  readonly bytes?: number;
  /**
   * How many bytes one file may have. It is read in one result, which the handler's
   * `limits.resultBytes` bounds.
   *
   * @default {2_097_152}
   */
  readonly fileBytes?: number;
}

/** Options for {@linkcode Skills.registerSkill}. */
export interface RegisterSkillOptions {
  /** What comes before the skill's name in its URIs, such as `"acme/billing"`. */
  readonly prefix?: string;
}

/** A registered skill. */
export interface SkillHandle {
  /** The URI of its `SKILL.md`. */
  readonly uri: string;
  /**
   * Reads the skill again, from the same place unless another is given. Clients see the old one until
   * all of the new one is there.
   *
   * @throws {TypeError} If it isn't a skill, or one of another name
   * @throws {RangeError} If it is too large
   */
  update(source?: string | URL | SkillFiles): Promise<void>;
  /** Takes it away for good; afterwards an update does nothing. Safe to call twice. */
  remove(): void;
}

/** The Skills extension of one server. */
export interface Skills extends Extension {
  /**
   * Offers a skill, as it is now: `update` reads it again.
   *
   * @param source Where its files are: a directory, as a path or a `file:` URL, in which names that
   * begin with a dot are left out; or the files themselves
   * @throws {TypeError} If it isn't a skill, is registered already, or has links in its directory; or
   * if no server uses the extension
   * @throws {RangeError} If it is too large, or one too many
   * @throws {Error} The system's own error, if the directory can't be read
   */
  registerSkill(
    source: string | URL | SkillFiles,
    options?: RegisterSkillOptions,
  ): Promise<SkillHandle>;
}

/**
 * Makes the Skills extension (`io.modelcontextprotocol/skills`), for `server.use`.
 *
 * @throws {TypeError} If an option has the wrong type
 * @throws {RangeError} If a number is out of range
 */
export function skills({ cache = {}, limits = {} }: SkillsOptions = {}): Skills {
  checkCacheHint(cache);
  return new SkillsExtension({
    cache: { ttlMs: cache.ttlMs ?? 0, cacheScope: cache.cacheScope ?? "private" },
    skills: integerOption("limits.skills", limits.skills, 1_000),
    bytes: integerOption("limits.bytes", limits.bytes, 256 * 1024 * 1024),
    fileBytes: integerOption("limits.fileBytes", limits.fileBytes, 2 * 1024 * 1024),
  });
}
