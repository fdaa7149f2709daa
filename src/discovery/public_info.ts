/**
 * Checks what a server publishes about itself, in the form that registries and server cards share.
 *
 * @module
 */
import { quote } from "../internal/quote.ts";
import type { Icon } from "../protocol/content.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import type { Implementation } from "../protocol/shapes.ts";
import type { NamesOf } from "../internal/known_names.ts";

/** The place of a server's source code. */
export interface Repository {
  /** The URL, for browsers and `git clone`. */
  readonly url: string;
  /** The hosting service, such as `"github"`. */
  readonly source: string;
  /** Identifies the repository at the service; stays the same when it is renamed. */
  readonly id?: string;
  /** The server's folder in the repository. */
  readonly subfolder?: string;
}

/** A value that users give, or that is set for them. */
export interface InputValue {
  /** The description of the value, for people. */
  readonly description?: string;
  /** Whether it must be given. */
  readonly isRequired?: boolean;
  /** Whether it is a secret, such as a token. */
  readonly isSecret?: boolean;
  /** The kind of value. */
  readonly format?: "string" | "number" | "boolean" | "filepath";
  /** The value until the user gives another one. */
  readonly default?: string;
  /** Shows what a value looks like. */
  readonly placeholder?: string;
  /** The possible values. */
  readonly choices?: readonly string[];
  /** Sets the value; `{name}` stands for a variable. Users are not asked for it. */
  readonly value?: string;
  /** The description of the variables in `value`, by name. */
  readonly variables?: Readonly<Record<string, InputValue>>;
}

/** A header or an environment variable. */
export interface NamedInput extends InputValue {
  /** The name of the header or the variable. */
  readonly name: string;
}

/** A server to the public: replaces and adds to what its `serverInfo` says. */
export interface PublicInfo {
  /**
   * Names the server in reverse-DNS form: the name of a domain of yours, a slash, and its own name, such
   * as `"com.example/library"`.
   *
   * @default The name in `serverInfo`, if it has that form
   */
  readonly name?: string;
  /**
   * Gives the version; no range.
   *
   * @default The version in `serverInfo`
   */
  readonly version?: string;
  /**
   * Says what the server can do, in 100 characters or fewer.
   *
   * @default The description in `serverInfo`
   */
  readonly description?: string;
  /**
   * Names the server for people, in 100 characters or fewer.
   *
   * @default The title in `serverInfo`
   */
  readonly title?: string;
  /**
   * Gives the URL of its website.
   *
   * @default The website in `serverInfo`
   */
  readonly websiteUrl?: string;
  /**
   * Lists icons.
   *
   * @default The icons in `serverInfo`
   */
  readonly icons?: readonly Icon[];
  /** The place of its source code. */
  readonly repository?: Repository;
  /** Additional metadata, under names that begin with a domain in reverse. */
  readonly _meta?: JsonObject;
}

/** The names of {@linkcode PublicInfo}. */
export const PUBLIC_NAMES: NamesOf<PublicInfo> = {
  name: true,
  version: true,
  description: true,
  title: true,
  websiteUrl: true,
  icons: true,
  repository: true,
  _meta: true,
};

const NAME = /^[a-zA-Z0-9.-]+\/[a-zA-Z0-9._-]+$/;
const NAME_LENGTH = 200;
const TEXT_LENGTH = 100;
const VERSION_LENGTH = 255;
/** A range, such as `^1.2`, `>=1`, `1.x` or `*`, or a tag. */
const RANGE = /[\^~<>=*|\s]|(^|\.)x(\.|$)|^latest$/i;

/**
 * Returns the members that `server.json` and a server card share.
 *
 * @throws {TypeError} If a member is missing or has the wrong form
 */
export function publicInfo(info: Implementation, options: PublicInfo): JsonObject {
  const { repository, _meta } = options;
  const name = nameOption(options.name ?? info.name);
  const version = versionOption("version", options.version ?? info.version);
  const description = textOption("description", options.description ?? info.description);
  const title = options.title ?? info.title;
  const websiteUrl = options.websiteUrl ?? info.websiteUrl;
  const icons = options.icons ?? info.icons;
  if (_meta !== undefined && !isObject(_meta)) throw new TypeError('Give an object as "_meta"');
  return {
    name,
    version,
    description,
    ...title !== undefined && { title: textOption("title", title) },
    ...websiteUrl !== undefined && { websiteUrl: publicUrl("websiteUrl", websiteUrl) },
    ...icons !== undefined && icons.length > 0 && { icons: icons.map(iconOption) },
    ...repository !== undefined && { repository: repositoryOption(repository) },
    ..._meta !== undefined && { _meta },
  };
}

/**
 * Returns a version.
 *
 * @throws {TypeError} If it is missing, too long or a range
 */
export function versionOption(name: string, given: unknown): string {
  if (typeof given !== "string" || given === "" || given.length > VERSION_LENGTH) {
    throw new TypeError(`Give a version, such as "1.0.0", as "${name}": ${shown(given)}`);
  }
  if (RANGE.test(given)) {
    throw new TypeError(`Give one version, no range or tag, as "${name}": ${shown(given)}`);
  }
  return given;
}

/**
 * Returns the URL of an endpoint as written: it may have `{variables}`.
 *
 * @throws {TypeError} If it is not an HTTP URL, or has a user or a password
 */
export function publicUrl(name: string, given: unknown): string {
  if (typeof given !== "string" || !/^https?:\/\/[^\s]+$/.test(given)) {
    throw new TypeError(`Give a URL that begins with https: as "${name}": ${shown(given)}`);
  }
  // A variable may stand where a URL has a port, which no parser takes
  if (/^https?:\/\/[^/?#]*@/.test(given)) {
    throw new TypeError(`Leave user and password out of "${name}"`);
  }
  return given;
}

/**
 * Returns the descriptions of headers or variables.
 *
 * @throws {TypeError} If one has no name, or sets a secret value, which everybody would see
 */
export function inputsOption(name: string, given: readonly NamedInput[]): JsonObject[] {
  return given.map((input) => {
    if (!isObject(input) || typeof input.name !== "string" || input.name === "") {
      throw new TypeError(`Give each entry of "${name}" a name`);
    }
    checkSecret(`${name}.${input.name}`, input);
    return { ...input };
  });
}

/**
 * Checks that a secret has no value.
 *
 * @throws {TypeError} If it has one
 */
export function checkSecret(name: string, input: InputValue): void {
  const { isSecret, value, default: fallback, variables = {} } = input;
  const isFixed = value !== undefined && !/\{[^{}]+\}/.test(value);
  if (isSecret === true && (isFixed || fallback !== undefined)) {
    throw new TypeError(`Leave the value of a secret out, everybody sees it: ${quote(name)}`);
  }
  for (const [key, variable] of Object.entries(variables)) checkSecret(`${name}.${key}`, variable);
}

function nameOption(given: unknown): string {
  if (typeof given === "string" && given.length <= NAME_LENGTH && NAME.test(given)) return given;
  throw new TypeError(
    `Give a name in reverse-DNS form, such as "com.example/library", as "name": ${shown(given)}`,
  );
}

function textOption(name: string, given: unknown): string {
  const length = typeof given === "string" ? [...given].length : 0;
  if (typeof given === "string" && length > 0 && length <= TEXT_LENGTH) return given;
  throw new TypeError(`Give a ${name} of 1 to ${TEXT_LENGTH} characters: ${shown(given)}`);
}

function iconOption(icon: Icon): JsonObject {
  const protocol = typeof icon?.src === "string" ? URL.parse(icon.src)?.protocol : undefined;
  if (protocol === "https:" || protocol === "data:") return { ...icon };
  throw new TypeError(`Give each icon an https: or data: URL as "src": ${shown(icon?.src)}`);
}

function repositoryOption(given: Repository): JsonObject {
  if (typeof given?.source !== "string" || given.source === "") {
    throw new TypeError('Give the hosting service, such as "github", as "repository.source"');
  }
  return { ...given, url: publicUrl("repository.url", given.url) };
}

function shown(given: unknown): string {
  return typeof given === "string" ? quote(given) : typeof given;
}
