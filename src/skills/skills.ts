/**
 * Implements the Skills extension: registers skills, and answers the methods to find them
 * (`io.modelcontextprotocol/skills`).
 *
 * @module
 */
import { checkNames } from "../internal/known_names.ts";
import { integerOption } from "../internal/check.ts";
import { utf8Length } from "../internal/utf8.ts";
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { Exchange } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { Extension } from "../server/extension.ts";
import { type CacheHint, fullCacheHint } from "../server/cache_hint.ts";
import { decodeCursor, encodeCursor, invalidCursor } from "../server/features/pagination.ts";
import { Registry, type RegistryEntry } from "../server/features/registry.ts";
import { uriOf } from "../server/features/resources.ts";
import type { McpServer } from "../server/server.ts";
import { filesInMemory, type SkillFiles } from "./files.ts";
import { makeSkill, type Skill } from "./skill.ts";
import { SkillResources } from "./skill_resources.ts";

/** Configures {@linkcode skills}. */
export interface SkillsOptions {
  /**
   * Says how long clients may cache lists, entries and files.
   *
   * @default {{ ttlMs: 0, cacheScope: "private" }}
   */
  readonly cache?: CacheHint;
  /** Limits the skills. */
  readonly limits?: SkillsLimits;
}

/**
 * Limits the skills of one {@linkcode skills} extension. The Skills extension itself limits one
 * skill to 512 files and 16 MiB.
 */
export interface SkillsLimits {
  /**
   * Limits the number of skills.
   *
   * @default {1_000}
   */
  readonly skills?: number;
  /**
   * Limits the files of all skills together, in bytes; they are kept in memory.
   *
   * @default {268_435_456}
   */
  readonly bytes?: number;
  /**
   * Limits one file, in bytes. A file is read in one result, which the handler's
   * `limits.resultBytes` limits.
   *
   * @default {2_097_152}
   */
  readonly fileBytes?: number;
}

/** Configures {@linkcode Skills.registerSkill}. */
export interface RegisterSkillOptions {
  /** The part of its URIs before the skill's name, such as `"acme/billing"`. */
  readonly prefix?: string;
}

/** Controls a registered skill. */
export interface SkillHandle {
  /** The URI of its `SKILL.md`. */
  readonly uri: string;
  /**
   * Reads the skill again, from the same source unless another is given. Clients see the old
   * version until the new one is complete.
   *
   * @throws {TypeError} If the source isn't a valid skill, or has another name
   * @throws {RangeError} If it is too large
   */
  update(source?: string | URL | SkillFiles): Promise<void>;
  /** Removes the skill for good; later updates do nothing. Safe to call twice. */
  remove(): void;
}

/** The Skills extension of one server. */
export interface Skills extends Extension {
  /**
   * Registers a skill in its current version; `update` on the handle reads it again.
   *
   * @param source A directory, as a path or a `file:` URL, in which names that begin with a dot are
   * skipped; or the files themselves
   * @param options Settings of this skill
   * @returns A handle to update or remove it
   * @throws {TypeError} If the source isn't a valid skill, is registered already, or contains
   * links; or if no server uses the extension
   * @throws {RangeError} If it is too large, or exceeds the number of skills
   * @throws {Error} The system's own error, if the directory can't be read
   */
  registerSkill(
    source: string | URL | SkillFiles,
    options?: RegisterSkillOptions,
  ): Promise<SkillHandle>;
}

/**
 * Creates the Skills extension (`io.modelcontextprotocol/skills`), for `server.use`.
 *
 * @param options The options, all optional
 * @returns The extension, for one server
 * @throws {TypeError} If an option has the wrong type
 * @throws {RangeError} If a number is out of range
 */
export function skills(options: SkillsOptions = {}): Skills {
  checkNames("skills()", options, { cache: true, limits: true });
  checkNames("skills()", options.limits, { skills: true, bytes: true, fileBytes: true }, "limits.");
  const { cache = {}, limits = {} } = options;
  return new SkillsExtension({
    cache: fullCacheHint(cache),
    skills: integerOption("limits.skills", limits.skills, 1_000),
    bytes: integerOption("limits.bytes", limits.bytes, 256 * 1024 * 1024),
    fileBytes: integerOption("limits.fileBytes", limits.fileBytes, 2 * 1024 * 1024),
  });
}

/** The most entries of one page, in bytes, if it has more than one entry. */
const PAGE_BYTES = 1024 * 1024;
/** The lists of skills and of directory entries in cursors. */
const SKILLS = "k";
const DIRECTORY = "d";

/** The options of the extension, checked and with defaults. */
interface SkillsSettings {
  readonly cache: Required<CacheHint>;
  readonly skills: number;
  readonly bytes: number;
  readonly fileBytes: number;
}

interface RegisteredSkill {
  readonly listed: JsonObject;
  /** The size of the entry as JSON, in bytes. */
  readonly bytes: number;
  readonly skill: Skill;
}

/** Implements {@linkcode Skills}. */
class SkillsExtension implements Skills {
  readonly id: string = "io.modelcontextprotocol/skills";
  readonly methods: Extension["methods"] = {
    "skills/list": (exchange) => this.#list(exchange),
    "skills/get": (exchange) => this.#get(exchange),
    "resources/directory/read": (exchange) => this.#readDirectory(exchange),
  };
  readonly #settings: SkillsSettings;
  readonly #registry = new Registry<RegisteredSkill>({
    field: "skills",
    noun: "skill",
    letter: SKILLS,
    // The extension has no notification of changes
    changed() {},
  });
  #resources: SkillResources | undefined;
  #bytes = 0;

  constructor(settings: SkillsSettings) {
    this.#settings = settings;
  }

  /**
   * Returns the settings once a skill has been registered: a server without resources can't offer
   * any.
   */
  get settings(): JsonObject | undefined {
    return this.#registry.lastSerial === 0 ? undefined : { directoryRead: true };
  }

  readonly install = (server: McpServer): void => {
    if (this.#resources !== undefined) {
      throw new TypeError("Create a new skills() extension for each server");
    }
    this.#resources = new SkillResources(server, this.#settings.cache);
  };

  async registerSkill(
    source: string | URL | SkillFiles,
    options: RegisterSkillOptions = {},
  ): Promise<SkillHandle> {
    checkNames("registerSkill()", options, { prefix: true });
    const { prefix } = options;
    const resources = this.#resources;
    if (resources === undefined) {
      throw new TypeError("Call server.use() with the extension before registering skills");
    }
    const first = await this.#read(source, prefix);
    if (this.#registry.get(first.uri) !== undefined) {
      throw new TypeError(`Register each skill once: ${first.uri}`);
    }
    if (this.#registry.enabled.length >= this.#settings.skills) {
      throw new RangeError(
        `Register at most as many skills as "limits.skills" allows: ${this.#settings.skills}`,
      );
    }
    this.#registerFiles(resources, first);
    const entry = this.#registry.add(first.uri, registered(first));
    return {
      uri: first.uri,
      update: async (again = source) => {
        const skill = await this.#read(again, prefix);
        if (this.#registry.has(entry)) this.#replace(resources, entry, skill);
      },
      remove: () => {
        if (!this.#registry.has(entry)) return;
        const { skill } = entry.definition;
        this.#registry.remove(entry);
        this.#bytes -= skill.bytes;
        resources.remove(skill);
      },
    };
  }

  #replace(resources: SkillResources, entry: RegistryEntry<RegisteredSkill>, skill: Skill): void {
    if (skill.uri !== entry.key) {
      throw new TypeError(
        `Keep the name of an updated skill, or register another one: ${skill.name}`,
      );
    }
    this.#registerFiles(resources, skill, entry.definition.skill);
    this.#registry.change(entry, { definition: registered(skill) });
  }

  /** Registers the files of a skill if there is room for them. */
  #registerFiles(resources: SkillResources, skill: Skill, earlier?: Skill): void {
    const bytes = this.#bytes + skill.bytes - (earlier?.bytes ?? 0);
    if (bytes > this.#settings.bytes) {
      const { bytes: most } = this.#settings;
      throw new RangeError(`Keep all skills within "limits.bytes", ${most}: ${bytes}`);
    }
    resources.put(skill, earlier);
    this.#bytes = bytes;
  }

  async #read(source: string | URL | SkillFiles, prefix: string | undefined): Promise<Skill> {
    const { fileBytes } = this.#settings;
    if (typeof source !== "string" && !(source instanceof URL)) {
      return await makeSkill(filesInMemory(source, fileBytes), prefix);
    }
    // Only reading directories needs a file system
    const { readDirectory } = await import("./directory.ts");
    const { name, files } = await readDirectory(source, fileBytes);
    const skill = await makeSkill(files, prefix);
    if (skill.name === name) return skill;
    throw new TypeError(`Give the directory the name of its skill, "${skill.name}": ${name}`);
  }

  #list({ params, pageSize }: Exchange): JsonObject {
    const position = decodeCursor(params, SKILLS);
    const after = position?.serial ?? 0;
    if (after > this.#registry.lastSerial || (position?.offset ?? 0) !== 0) throw invalidCursor();
    const slice = this.#registry.slice(after, pageSize);
    const entries = withinBytes(slice.entries);
    const cut = entries.length < slice.entries.length;
    const last = cut ? entries.at(-1)?.serial : slice.last;
    return {
      skills: entries.map(({ definition }) => definition.listed),
      ...(last === undefined
        ? {}
        : { nextCursor: encodeCursor({ list: SKILLS, serial: last, offset: 0 }) }),
      ...this.#settings.cache,
    };
  }

  #get(exchange: Exchange): JsonObject {
    const uri = uriOf(exchange);
    const found = this.#registry.get(uri);
    if (found !== undefined) return { skill: found.listed, ...this.#settings.cache };
    throw new McpError(ErrorCode.InvalidParams, "Skill not found", { uri });
  }

  #readDirectory(exchange: Exchange): JsonObject {
    const { params, pageSize } = exchange;
    const uri = uriOf(exchange);
    const children = this.#resources?.directory(uri);
    if (children === undefined) {
      throw new McpError(ErrorCode.InvalidParams, "Directory not found", { uri });
    }
    const { serial, offset } = decodeCursor(params, DIRECTORY) ?? { serial: 0, offset: 0 };
    if (serial !== 0 || offset > children.length) throw invalidCursor();
    const end = offset + pageSize;
    const resources = children.slice(offset, end);
    if (end >= children.length) return { resources };
    return { resources, nextCursor: encodeCursor({ list: DIRECTORY, serial: 0, offset: end }) };
  }
}

function registered(skill: Skill): RegisteredSkill {
  return { listed: skill.entry, bytes: utf8Length(JSON.stringify(skill.entry)), skill };
}

/** Returns as many entries as fit on a page, and at least one: an entry is never split. */
function withinBytes(
  entries: readonly RegistryEntry<RegisteredSkill>[],
): readonly RegistryEntry<RegisteredSkill>[] {
  let bytes = 0;
  const end = entries.findIndex(({ definition }, at) => {
    bytes += definition.bytes;
    return at > 0 && bytes > PAGE_BYTES;
  });
  return end === -1 ? entries : entries.slice(0, end);
}
