/**
 * Creates `server.json`, with which a server is published in an MCP registry.
 *
 * @module
 */
import { checkNames } from "../internal/known_names.ts";
import { isObject, type JsonObject } from "../protocol/jsonrpc.ts";
import type { Implementation } from "../protocol/shapes.ts";
import {
  checkSecret,
  inputsOption,
  type InputValue,
  type NamedInput,
  PUBLIC_NAMES,
  type PublicInfo,
  publicInfo,
  publicUrl,
  versionOption,
} from "./public_info.ts";

/** An endpoint that clients reach over HTTP. */
export interface Remote {
  /** The URL; `{name}` stands for a variable. */
  readonly url: string;
  /**
   * Names the transport.
   *
   * @default {"streamable-http"}
   */
  readonly type?: "streamable-http" | "sse";
  /** The description of the headers that clients send. */
  readonly headers?: readonly NamedInput[];
  /** The description of the variables in the URL, by name. */
  readonly variables?: Readonly<Record<string, InputValue>>;
}

/** An argument of a program. */
export type PackageArgument =
  | InputValue & {
    readonly type: "positional";
    /** Labels the argument. */
    readonly valueHint?: string;
    /** Whether it may be given more than once. */
    readonly isRepeated?: boolean;
  }
  | InputValue & {
    readonly type: "named";
    /** The name of the option, with its dashes. */
    readonly name: string;
    /** Whether it may be given more than once. */
    readonly isRepeated?: boolean;
  };

/** A package from which the server is installed. */
export interface Package {
  /** The kind of registry: `"npm"`, `"pypi"`, `"oci"`, `"nuget"`, `"mcpb"` or another. */
  readonly registryType: string;
  /** Names the package, or gives the URL of its download. */
  readonly identifier: string;
  /**
   * Gives the package's version.
   *
   * @default The server's version, except for `"oci"` and `"mcpb"`, whose identifiers have it
   */
  readonly version?: string;
  /** The URL of the registry, if it is not the usual one. */
  readonly registryBaseUrl?: string;
  /** The SHA-256 of the download, in 64 hexadecimal digits. `"mcpb"` needs it. */
  readonly fileSha256?: string;
  /**
   * Says how to speak to the program.
   *
   * @default {{ type: "stdio" }}
   */
  readonly transport?: { readonly type: "stdio" } | Remote & { readonly type: string };
  /** The name of the program that runs the package, such as `"npx"`. */
  readonly runtimeHint?: string;
  /** The description of the arguments of that program. */
  readonly runtimeArguments?: readonly PackageArgument[];
  /** The description of the arguments of the package's program. */
  readonly packageArguments?: readonly PackageArgument[];
  /** The description of the environment variables of the package's program. */
  readonly environmentVariables?: readonly NamedInput[];
}

/** Options for {@linkcode serverJson}. */
export interface ServerJsonOptions extends PublicInfo {
  /** The endpoints that clients reach over HTTP. */
  readonly remotes?: readonly Remote[];
  /** The packages from which the server is installed. */
  readonly packages?: readonly Package[];
}

const SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json";
/** The longest URL of an icon in the registry. */
const ICON_URL_LENGTH = 255;
const VERSIONED = new Set(["oci", "mcpb"]);

/**
 * Creates the content of `server.json`, which publishes a server in the MCP registry (its schema of
 * 2025-12-11). The version, the title and the rest are those of the server, so that they are said once.
 *
 * @example
 * ```ts
 * import { McpServer } from "@mooring/mcp";
 * import { serverJson } from "@mooring/mcp/discovery";
 *
 * const server = new McpServer({ name: "library", version: "1.0.0", title: "The library" });
 * const json = serverJson(server.serverInfo, {
 *   name: "com.example/library",
 *   description: "Finds and lends books.",
 *   remotes: [{ url: "https://api.example.com/mcp" }],
 *   packages: [{ registryType: "npm", identifier: "@example/library" }],
 * });
 * console.log(JSON.stringify(json, null, 2)); // Into server.json
 * ```
 *
 * @param info What the server says about itself
 * @throws {TypeError} If an option is missing or has the wrong form, would publish a secret, or neither
 * an endpoint nor a package is given
 */
export function serverJson(info: Implementation, options: ServerJsonOptions): JsonObject {
  checkNames("serverJson()", options, {
    ...PUBLIC_NAMES,
    remotes: true,
    packages: true,
  });
  const { remotes = [], packages = [] } = options;
  const known = publicInfo(info, options);
  if (remotes.length === 0 && packages.length === 0) {
    throw new TypeError('Give at least one of "remotes" and "packages"');
  }
  for (const { src } of options.icons ?? info.icons ?? []) {
    if (src.startsWith("https:") && src.length <= ICON_URL_LENGTH) continue;
    throw new TypeError(
      `Give icons with https: URLs of ${ICON_URL_LENGTH} characters or fewer, or "icons: []"`,
    );
  }
  return {
    $schema: SCHEMA,
    ...known,
    ...packages.length > 0 && {
      packages: packages.map((one) => packageOption(one, String(known.version))),
    },
    ...remotes.length > 0 && { remotes: remotes.map((one) => remoteOption("remotes", one)) },
  };
}

function remoteOption(name: string, remote: Remote): JsonObject {
  if (!isObject(remote)) throw new TypeError(`Give an object with a "url" in "${name}"`);
  const { type = "streamable-http", url, headers, variables } = remote;
  if (type !== "streamable-http" && type !== "sse") {
    throw new TypeError(`Give "streamable-http" or "sse" as "${name}.type": ${String(type)}`);
  }
  for (const [key, variable] of Object.entries(variables ?? {})) {
    checkSecret(`${name}.${key}`, variable);
  }
  return {
    type,
    url: publicUrl(`${name}.url`, url),
    ...headers !== undefined && { headers: inputsOption(`${name}.headers`, headers) },
    ...variables !== undefined && { variables },
  };
}

function packageOption(given: Package, serverVersion: string): JsonObject {
  for (const key of ["registryType", "identifier"] as const) {
    if (typeof given?.[key] === "string" && given[key] !== "") continue;
    throw new TypeError(`Give a string as "packages.${key}": ${String(given?.[key])}`);
  }
  const { registryType, version, fileSha256, transport, environmentVariables } = given;
  if (fileSha256 === undefined ? registryType === "mcpb" : !/^[a-f0-9]{64}$/.test(fileSha256)) {
    throw new TypeError('Give 64 hexadecimal digits as "packages.fileSha256"');
  }
  const own = version ?? (VERSIONED.has(registryType) ? undefined : serverVersion);
  for (const list of [given.runtimeArguments, given.packageArguments]) {
    for (const argument of list ?? []) checkArgument(argument);
  }
  return {
    ...given,
    ...own !== undefined && { version: versionOption("packages.version", own) },
    transport: transport === undefined || transport.type === "stdio"
      ? { type: "stdio" }
      : remoteOption("packages.transport", transport as Remote),
    ...environmentVariables !== undefined && {
      environmentVariables: inputsOption("packages.environmentVariables", environmentVariables),
    },
  };
}

function checkArgument(argument: PackageArgument): void {
  checkSecret("packages arguments", argument);
  const { type, value } = argument;
  if (type === "named" && typeof argument.name === "string") return;
  if (type === "positional" && (value !== undefined || argument.valueHint !== undefined)) return;
  throw new TypeError(
    'Give each argument the type "named" and a name, or "positional" and a "value" or "valueHint"',
  );
}
