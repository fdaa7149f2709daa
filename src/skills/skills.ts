/**
 * The Skills extension: skills and the methods to find them.
 *
 * @module
 */
import { integerOption } from "../internal/check.ts";
import { utf8Length } from "../internal/utf8.ts";
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { Exchange } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { Extension } from "../server/extension.ts";
import { type CacheHint, fullCacheHint } from "../server/cache_hint.ts";
import { badCursor, toCursor, toPosition } from "../server/pagination.ts";
import { type Entry, Registry } from "../server/registry.ts";
import { uriOf } from "../server/resources.ts";
import type { McpServer } from "../server/server.ts";
import { filesInMemory, type SkillFiles } from "./files.ts";
import { makeSkill, type Skill } from "./skill.ts";
import { SkillResources } from "./skill_resources.ts";

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
  return new SkillsExtension({
    cache: fullCacheHint(cache),
    skills: integerOption("limits.skills", limits.skills, 1_000),
    bytes: integerOption("limits.bytes", limits.bytes, 256 * 1024 * 1024),
    fileBytes: integerOption("limits.fileBytes", limits.fileBytes, 2 * 1024 * 1024),
  });
}

/** How many bytes of entries one page of the list has, if it has more than one entry. */
const PAGE_BYTES = 1024 * 1024;
/** The list's letter in cursors, and that of directories. */
const SKILLS = "k";
const DIRECTORY = "d";

/** What the extension works with: options checked, defaults filled in. */
interface SkillsSettings {
  readonly cache: Required<CacheHint>;
  readonly skills: number;
  readonly bytes: number;
  readonly fileBytes: number;
}

interface Registered {
  readonly listed: JsonObject;
  /** Of the entry. */
  readonly bytes: number;
  readonly skill: Skill;
}

/** The extension, as a server uses it. */
class SkillsExtension implements Skills {
  readonly id: string = "io.modelcontextprotocol/skills";
  readonly methods: Extension["methods"] = {
    "skills/list": (exchange) => this.#list(exchange),
    "skills/get": (exchange) => this.#get(exchange),
    "resources/directory/read": (exchange) => this.#readDirectory(exchange),
  };
  readonly #settings: SkillsSettings;
  readonly #registry = new Registry<Registered>({
    field: "skills",
    noun: "skill",
    letter: SKILLS,
    // There is no notification of it
    changed() {},
  });
  #resources: SkillResources | undefined;
  #bytes = 0;

  constructor(settings: SkillsSettings) {
    this.#settings = settings;
  }

  /** Nothing until there is a skill: a server without resources can't offer any. */
  get settings(): JsonObject | undefined {
    return this.#registry.lastSerial === 0 ? undefined : { directoryRead: true };
  }

  readonly install = (server: McpServer): void => {
    if (this.#resources !== undefined) throw new TypeError("Make skills() anew for each server");
    this.#resources = new SkillResources(server, this.#settings.cache);
  };

  async registerSkill(
    source: string | URL | SkillFiles,
    { prefix }: RegisterSkillOptions = {},
  ): Promise<SkillHandle> {
    const resources = this.#resources;
    if (resources === undefined) throw new TypeError("Call server.use() with the skills first");
    const first = await this.#read(source, prefix);
    if (this.#registry.get(first.uri) !== undefined) {
      throw new TypeError(`Register each skill once: ${first.uri}`);
    }
    if (this.#registry.enabled.length >= this.#settings.skills) {
      throw new RangeError(`Register at most "limits.skills" skills: ${this.#settings.skills}`);
    }
    this.#exchange(resources, first);
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

  #replace(resources: SkillResources, entry: Entry<Registered>, skill: Skill): void {
    if (skill.uri !== entry.key) {
      throw new TypeError(`Keep the name of a skill, or register another: ${skill.name}`);
    }
    this.#exchange(resources, skill, entry.definition.skill);
    this.#registry.change(entry, { definition: registered(skill) });
  }

  /** Puts a skill on the shelf if there is room for it. */
  #exchange(resources: SkillResources, skill: Skill, earlier?: Skill): void {
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
    // Only who reads directories needs a file system
    const { readDirectory } = await import("./directory.ts");
    const { name, files } = await readDirectory(source, fileBytes);
    const skill = await makeSkill(files, prefix);
    if (skill.name === name) return skill;
    throw new TypeError(`Call the directory as the skill in it, "${skill.name}": ${name}`);
  }

  #list({ params, pageSize }: Exchange): JsonObject {
    const position = toPosition(params, SKILLS);
    const after = position?.serial ?? 0;
    if (after > this.#registry.lastSerial || (position?.offset ?? 0) !== 0) throw badCursor();
    const slice = this.#registry.slice(after, pageSize);
    const entries = withinBytes(slice.entries);
    const cut = entries.length < slice.entries.length;
    const last = cut ? entries.at(-1)?.serial : slice.last;
    return {
      skills: entries.map(({ definition }) => definition.listed),
      ...(last === undefined
        ? {}
        : { nextCursor: toCursor({ list: SKILLS, serial: last, offset: 0 }) }),
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
    const { serial, offset } = toPosition(params, DIRECTORY) ?? { serial: 0, offset: 0 };
    if (serial !== 0 || offset > children.length) throw badCursor();
    const end = offset + pageSize;
    const resources = children.slice(offset, end);
    if (end >= children.length) return { resources };
    return { resources, nextCursor: toCursor({ list: DIRECTORY, serial: 0, offset: end }) };
  }
}

function registered(skill: Skill): Registered {
  return { listed: skill.entry, bytes: utf8Length(JSON.stringify(skill.entry)), skill };
}

/** As many entries as a page has room for, and at least one: an entry is never split. */
function withinBytes(entries: readonly Entry<Registered>[]): readonly Entry<Registered>[] {
  let bytes = 0;
  const end = entries.findIndex(({ definition }, at) => {
    bytes += definition.bytes;
    return at > 0 && bytes > PAGE_BYTES;
  });
  return end === -1 ? entries : entries.slice(0, end);
}
