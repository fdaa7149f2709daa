/**
 * Replaces the secrets in a server by references to environment variables, so that the file that is
 * written has none.
 *
 * @module
 */
import type { JsonObject } from "../../../mod.ts";
import { isObject } from "../../kit.ts";

/** A secret that was replaced. */
export interface Replaced {
  /** The variable that must have its value. */
  readonly variable: string;
  /** Where it stood, below the server. */
  readonly path: readonly (string | number)[];
}

/** Gives variables their names, so that no two values share one. */
export class VariableNames {
  readonly #values = new Map<string, string>();

  /** Returns the variable for a value: the first of the names that is free, or has this value already. */
  take(value: string, names: readonly string[]): string {
    for (let count = 1;; count++) {
      for (const name of names) {
        const found = count === 1 ? name : `${name}_${count}`;
        const known = this.#values.get(found);
        if (known !== undefined && known !== value) continue;
        this.#values.set(found, value);
        return found;
      }
    }
  }
}

/** Names whose values nobody else may have. */
const SECRET_NAME =
  /key|token|secret|pass(?!age|ive|through)|_pwd$|connection_?string|credential|bearer|auth$|authorization|cookie|dsn|(?:^|[_-])pat$/i;
/** Names of such values that hold none: a file, a path, a user. */
const HARMLESS_NAME =
  /(?:file|path|dir|user|username|_id|-id|url|endpoint|header|name|public_?key)$/i;
/** What the tokens of well-known services look like. */
const SECRET_VALUE =
  /^(?:gh[pousr]_|github_pat_|glpat-|sk-|sk_|pk_live|rk_live|xox[abeprs]-|AKIA|ASIA|AIza|ya29\.|eyJ[\w-]+\.|npm_|pypi-|hf_|lin_api_|ntn_|secret_|figd_|dop_v1_|shpat_|SG\.)[\w.-]{8,}/;
/** A URL with a password in it. */
const CREDENTIALS = /^([A-Za-z][\w+.-]*:\/\/[^/?#@\s:]*:)([^/?#@\s]+)(@.*)$/s;

/** Replaces the secrets of a server. */
export function replaceSecrets(
  name: string,
  entry: JsonObject,
  names: VariableNames,
): { readonly entry: JsonObject; readonly replaced: readonly Replaced[] } {
  const replaced: Replaced[] = [];
  const prefix = variableOf(name);
  const replace = (value: string, key: string, path: Replaced["path"]): string => {
    const variable = names.take(value, [variableOf(key), `${prefix}_${variableOf(key)}`]);
    replaced.push({ variable, path });
    return `\${${variable}}`;
  };
  /** Replaces a text if it is a secret, or the part of it that is one. */
  const clean: Clean = (value, key, path, named = key) => {
    if (value === "" || value.includes("${")) return value;
    const [, before, password, after] = CREDENTIALS.exec(value) ?? [];
    if (before !== undefined && password !== undefined) {
      return `${before}${replace(password, `${prefix}_PASSWORD`, path)}${after}`;
    }
    const secret = SECRET_VALUE.test(value) ||
      (SECRET_NAME.test(key) && !HARMLESS_NAME.test(key) &&
        !/^(?:true|false|\d{1,5})$/i.test(value));
    return secret ? replace(value, named, path) : value;
  };
  const result: Record<string, unknown> = { ...entry };
  if (isObject(entry["env"])) result.env = cleanAll(entry["env"], "env", clean);
  if (isObject(entry["headers"])) {
    const headers = Object.entries(entry["headers"]).map(([key, value]) => {
      if (typeof value !== "string") return [key, value];
      // A scheme such as Bearer stays
      const [, scheme = "", rest = value] = /^([A-Za-z]+ +)(\S.*)$/s.exec(value) ?? [];
      return [key, scheme + clean(rest, key, ["headers", key], `${prefix}_${variableOf(key)}`)];
    });
    result.headers = Object.fromEntries(headers);
  }
  const { args, auth } = entry;
  if (Array.isArray(args)) result.args = cleanArgs(args, prefix, clean);
  for (const key of ["url", "openapi", "baseUrl"]) {
    const url = entry[key];
    if (typeof url === "string") result[key] = cleanUrl(url, prefix, [key], clean);
  }
  /** Replaces a credential, whatever it looks like. */
  const credential = (value: unknown, named: string, path: Replaced["path"]): unknown =>
    typeof value !== "string" || value === "" || value.includes("${")
      ? value
      : replace(value, `${prefix}_${variableOf(named)}`, path);
  if (typeof auth === "string") result.auth = credential(auth, "auth", ["auth"]);
  if (isObject(auth) && isObject(auth.schemes)) {
    const schemes = Object.entries(auth.schemes).map(([key, value]) => [
      key,
      credential(value, key, ["auth", "schemes", key]),
    ]);
    result.auth = { ...auth, schemes: Object.fromEntries(schemes) };
  }
  return { entry: result, replaced };
}

/** Replaces a value if its key or its form says that it is a secret. `named` names the variable. */
type Clean = (value: string, key: string, path: Replaced["path"], named?: string) => string;

function cleanAll(values: JsonObject, at: string, clean: Clean): JsonObject {
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => [
      key,
      typeof value === "string" ? clean(value, key, [at, key]) : value,
    ]),
  );
}

/** Replaces secrets in arguments like `--api-key=…`, `--api-key …`, `--header "X-Key: …"` and `KEY=…`. */
function cleanArgs(args: readonly unknown[], prefix: string, clean: Clean): unknown[] {
  return args.map((arg, at) => {
    if (typeof arg !== "string") return arg;
    const path = ["args", at];
    if (/^https?:\/\//i.test(arg)) return cleanUrl(arg, prefix, path, clean);
    const [, start = "", key = "", value] =
      /^((?:--?)?([A-Za-z][\w.-]*)(?:=|: *))(.*)$/s.exec(arg) ?? [];
    if (value !== undefined && !/^\w+:\/\//.test(arg)) {
      const [, scheme = "", rest = value] = /^([A-Za-z]+ +)(\S.*)$/s.exec(value) ?? [];
      return start + scheme + clean(rest, key, path, `${prefix}_${variableOf(key)}`);
    }
    const before: unknown = args[at - 1];
    const [, option = ""] = typeof before === "string"
      ? /^--?([A-Za-z][\w-]*)$/.exec(before) ?? []
      : [];
    if (arg.startsWith("-")) return arg;
    const named = option === "" ? "ARGUMENT" : variableOf(option);
    return clean(arg, option, path, `${prefix}_${named}`);
  });
}

/** Part of a path that nobody would think of: letters and digits, and many of them. */
const RANDOM_PART = /(?<=\/)(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{20,}(?=\/|$)/g;

/** Replaces secrets in a URL: a password, values of the query, and parts of the path that look random. */
function cleanUrl(url: string, prefix: string, at: Replaced["path"], clean: Clean): string {
  const whole = clean(url, "", at, `${prefix}_URL`);
  const [, origin = "", path = "", rest = ""] = /^([^/]*\/\/[^/?#]*)([^?#]*)(.*)$/s.exec(whole) ??
    [];
  if (origin === "") return whole;
  const plainPath = path.replace(
    RANDOM_PART,
    (part) => clean(part, "token", at, `${prefix}_URL_TOKEN`),
  );
  const plainRest = rest.replace(
    /([?&])([^=&#]+)=([^&#]*)/g,
    (_, mark: string, key: string, value: string) =>
      `${mark}${key}=${clean(value, key, at, `${prefix}_${variableOf(key)}`)}`,
  );
  return origin + plainPath + plainRest;
}

/** Writes a name as environment variables are named. */
function variableOf(name: string): string {
  const plain = name.replace(/[^A-Za-z0-9]+/g, "_").replace(/^_+|_+$/g, "");
  const upper = /[a-z]/.test(plain) && /[A-Z]/.test(plain) && !plain.includes("_")
    ? plain.replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    : plain;
  return /^\d/.test(upper) || upper === "" ? `_${upper.toUpperCase()}` : upper.toUpperCase();
}
