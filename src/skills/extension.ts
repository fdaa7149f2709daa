/**
 * The Skills extension: what there is of skills, and the methods to find it.
 *
 * @module
 */
import { ErrorCode, McpError } from "../protocol/errors.ts";
import type { Exchange } from "../protocol/exchange.ts";
import type { JsonObject } from "../protocol/jsonrpc.ts";
import type { Extension } from "../server/extension.ts";
import { utf8Length } from "../internal/utf8.ts";
import type { CacheHint } from "../server/modern.ts";
import { badCursor, toCursor, toPosition } from "../server/pagination.ts";
import { type Entry, Registry } from "../server/registry.ts";
import { uriOf } from "../server/resources.ts";
import type { McpServer } from "../server/server.ts";
import { filesInMemory, type SkillFiles } from "./files.ts";
import { Shelf } from "./shelf.ts";
import { makeSkill, type Skill } from "./skill.ts";
import type { RegisterSkillOptions, SkillHandle, Skills } from "./skills.ts";

/** How many bytes of entries one page of the list has, if it has more than one entry. */
const PAGE_BYTES = 1024 * 1024;
/** The list's letter in cursors, and that of directories. */
const SKILLS = "k";
const DIRECTORY = "d";

/** What the extension works with: options checked, defaults filled in. */
export interface SkillsSettings {
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
export class SkillsExtension implements Skills {
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
  #shelf: Shelf | undefined;
  #bytes = 0;

  constructor(settings: SkillsSettings) {
    this.#settings = settings;
  }

  /** Nothing until there is a skill: a server without resources can't offer any. */
  get settings(): JsonObject | undefined {
    return this.#registry.lastSerial === 0 ? undefined : { directoryRead: true };
  }

  readonly install = (server: McpServer): void => {
    if (this.#shelf !== undefined) throw new TypeError("Make skills() anew for each server");
    this.#shelf = new Shelf(server, this.#settings.cache);
  };

  async registerSkill(
    source: string | URL | SkillFiles,
    { prefix }: RegisterSkillOptions = {},
  ): Promise<SkillHandle> {
    const shelf = this.#shelf;
    if (shelf === undefined) throw new TypeError("Call server.use() with the skills first");
    const first = await this.#read(source, prefix);
    if (this.#registry.get(first.uri) !== undefined) {
      throw new TypeError(`Register each skill once: ${first.uri}`);
    }
    if (this.#registry.enabled.length >= this.#settings.skills) {
      throw new RangeError(`Register at most "limits.skills" skills: ${this.#settings.skills}`);
    }
    this.#exchange(shelf, first);
    const entry = this.#registry.add(first.uri, registered(first));
    return {
      uri: first.uri,
      update: async (again = source) => {
        const skill = await this.#read(again, prefix);
        if (this.#registry.has(entry)) this.#replace(shelf, entry, skill);
      },
      remove: () => {
        if (!this.#registry.has(entry)) return;
        const { skill } = entry.definition;
        this.#registry.remove(entry);
        this.#bytes -= skill.bytes;
        shelf.remove(skill);
      },
    };
  }

  #replace(shelf: Shelf, entry: Entry<Registered>, skill: Skill): void {
    if (skill.uri !== entry.key) {
      throw new TypeError(`Keep the name of a skill, or register another: ${skill.name}`);
    }
    this.#exchange(shelf, skill, entry.definition.skill);
    this.#registry.change(entry, { definition: registered(skill) });
  }

  /** Puts a skill on the shelf if there is room for it. */
  #exchange(shelf: Shelf, skill: Skill, earlier?: Skill): void {
    const bytes = this.#bytes + skill.bytes - (earlier?.bytes ?? 0);
    if (bytes > this.#settings.bytes) {
      const { bytes: most } = this.#settings;
      throw new RangeError(`Keep all skills within "limits.bytes", ${most}: ${bytes}`);
    }
    shelf.put(skill, earlier);
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
    const children = this.#shelf?.directory(uri);
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
