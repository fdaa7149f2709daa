/**
 * Rewrites the variables of other programs' configuration files, such as `${env:NAME}`, `${input:id}` and
 * `${workspaceFolder}`, as those of Mooring.
 *
 * @module
 */
import { basename, sep } from "node:path";
import { clip, isObject, quote } from "../../kit.ts";
import { type Dialect, homeOf } from "./dialect.ts";
import type { Env, EnvProblem } from "../config/env.ts";

/** A value that the program which a file was written for asks its user for. */
export interface Input {
  readonly id: string;
  /** The environment variable that has the value. */
  readonly variable: string;
  readonly description: string | undefined;
  /** The value where there is no variable. */
  readonly fallback: string | undefined;
  readonly password: boolean;
  /** The values that it may have; any if empty. */
  readonly options: readonly string[];
  /** Its place in the file's list of inputs. */
  readonly at: number;
}

/** Characters that are shown of a text from the file. */
const MAX_SHOWN = 100;
/** Inputs that a file may have. */
const MAX_INPUTS = 200;

const REFERENCE = /\$\{([^}]*)\}/g;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** What only an editor knows. */
const EDITOR =
  /^(?:config|command|extensionInstallFolder|workspaceFolder|fileWorkspaceFolder|relativeFile|file|lineNumber|columnNumber|selectedText|execPath|defaultBuildTask|cwd)/;

/** The programs that replace no variables in texts. */
const PLAIN: ReadonlySet<string> = new Set(["claude-desktop", "codex", "zed"]);

/** Returns the environment variable that has the value of an input. */
export function inputVariable(id: string): string {
  return `MOORING_INPUT_${id.toUpperCase().replace(/[^A-Z0-9]/g, "_")}`;
}

/** Reads the list of inputs. */
export function readInputs(
  value: unknown,
  report: (problem: EnvProblem) => void,
  warn: (problem: EnvProblem) => void,
): Map<string, Input> {
  const inputs = new Map<string, Input>();
  if (value === undefined) return inputs;
  const message = 'Give a list of inputs, each with an "id"';
  if (!Array.isArray(value)) {
    report({ path: ["inputs"], message });
    return inputs;
  }
  if (value.length > MAX_INPUTS) {
    report({ path: ["inputs"], message: `Give at most ${MAX_INPUTS} inputs` });
  }
  for (const [at, entry] of value.slice(0, MAX_INPUTS).entries()) {
    const id: unknown = isObject(entry) ? entry["id"] : undefined;
    if (!isObject(entry) || typeof id !== "string" || id === "") {
      report({ path: ["inputs", at], message });
      continue;
    }
    const variable = inputVariable(id);
    const other = [...inputs.values()].find((input) => input.variable === variable);
    if (other !== undefined) {
      report({ path: ["inputs", at], message: `Rename one of two inputs: both are ${variable}` });
      continue;
    }
    const { type, description, default: fallback, password, options } = entry;
    if (type === "command") {
      const what = "Not honoured: the editor's command isn't run. Give the value in the variable";
      warn({ path: ["inputs", at, "command"], message: `${what} ${variable}` });
    }
    inputs.set(id, {
      id,
      variable,
      description: typeof description === "string" ? description : undefined,
      fallback: typeof fallback === "string" && fallback !== "" ? fallback : undefined,
      password: password === true,
      options: type === "pickString" && Array.isArray(options)
        ? options.map((option: unknown) => isObject(option) ? option["value"] : option)
          .filter((option) => typeof option === "string")
        : [],
      at,
    });
  }
  return inputs;
}

/** Returns how to give an input that has no value. */
export function inputAdvice({ id, variable, description }: Input): string {
  const about = description === undefined ? "" : ` (${clip(description, MAX_SHOWN)})`;
  return `Give the input ${quote(id)}${about}: set the environment variable ${variable}, or use ` +
    `--input ${/^[\w.-]+$/.test(id) ? id : quote(id)}=VALUE`;
}

/** What {@linkcode rewriteVariables} needs to know. */
export interface Rewriting {
  readonly dialect: Dialect;
  readonly env: Env;
  /** The folder in which the command runs. */
  readonly cwd: string;
  /** The inputs. Those that the file uses without describing them are added. */
  readonly inputs: Map<string, Input>;
  /** Reports a variable that has no value here. */
  readonly report: (message: string) => void;
  /** Reports a variable whose value is another one here. */
  readonly warn: (message: string) => void;
  /** Names that the text's own program replaces. */
  readonly own?: readonly string[];
}

/** Writes a text so that it is taken literally. */
export function literal(text: string): string {
  return text.replaceAll("${", () => "$${");
}

/** Rewrites the variables in a text. */
export function rewriteVariables(text: string, rewriting: Rewriting): string {
  const { dialect: { program, bareNames } } = rewriting;
  if (program === "opencode") return opencodeVariables(text, rewriting);
  // The shell's short form, which the others take as it is
  const full = program === "gemini"
    ? text.replace(/(?<!\$)\$([A-Za-z_][A-Za-z0-9_]*)/g, (_, name: string) => `\${${name}}`)
    : text;
  return full.replace(REFERENCE, (found, inside: string, at: number) => {
    const dollar = full[at - 1] === "$";
    // Mooring's own way to write a plain sign
    if (dollar && bareNames) return found;
    const value = valueOf(inside, found, rewriting);
    if (dollar && /^\$\{/.test(value)) {
      rewriting.report('Leave out the "$" before this variable: it would make it plain text');
    }
    return value;
  });
}

/** Rewrites what opencode replaces, and takes the rest literally. */
function opencodeVariables(text: string, { report }: Rewriting): string {
  const parts = text.split(/\{(env|file):([^}]*)\}/);
  let result = literal(parts[0] ?? "");
  for (let at = 1; at < parts.length; at += 3) {
    const [kind, name = "", after = ""] = parts.slice(at, at + 3);
    if (kind === "file") {
      report('Give the value in a variable, as "{env:NAME}": files aren\'t read here');
    } else if (NAME.test(name)) {
      result += `\${${name}}`;
    } else report('Write a variable as "{env:NAME}"');
    result += literal(after);
  }
  return result;
}

function valueOf(inside: string, found: string, rewriting: Rewriting): string {
  const { dialect: { program, bareNames, workspace }, env, cwd } = rewriting;
  const { report, warn, own = [] } = rewriting;
  if (PLAIN.has(program)) {
    if (!own.includes(inside)) warn(plainText(rewriting.dialect, inside));
    return literal(found);
  }
  const [, kind = "", name = ""] = /^(env|input):(.*)$/s.exec(inside) ?? [];
  if (kind === "env") {
    if (NAME.test(name)) return `\${${name}}`;
    report('Write a variable as "${env:NAME}"');
    return literal(found);
  }
  if (kind === "input") {
    return `\${${inputOf(name, rewriting).variable}}`;
  }
  // In Mooring's own files a variable of that name comes first
  if (bareNames && Object.hasOwn(env, inside)) return found;
  const folder = workspace ?? cwd;
  if (program === "claude-code" && /^CLAUDE_PROJECT_DIR(?::-|$)/.test(inside)) {
    return literal(folder);
  }
  if (workspace === undefined && /^workspaceFolder(?:Basename)?$/.test(inside)) {
    warn(`${found} is the folder in which this command runs, since the file is of no project`);
  }
  const values: Readonly<Record<string, string>> = {
    workspaceFolder: folder,
    workspaceFolderBasename: basename(folder),
    userHome: homeOf(env),
    pathSeparator: sep,
    "/": sep,
  };
  const value = Object.hasOwn(values, inside) ? values[inside] : undefined;
  if (value !== undefined) return literal(value);
  if (EDITOR.test(inside) && (!bareNames || inside.includes(":") && !inside.includes(":-"))) {
    const [first = ""] = inside.split(":");
    report(`Write the value in place of the variable: only an editor knows "${clip(first, 40)}"`);
    return literal(found);
  }
  if (bareNames) return found;
  warn(plainText(rewriting.dialect, inside));
  return literal(found);
}

/** Returns an input, also of a file that doesn't describe it. */
function inputOf(id: string, { inputs, report }: Rewriting): Input {
  const known = inputs.get(id);
  if (known !== undefined) return known;
  const variable = inputVariable(id);
  if ([...inputs.values()].some((input) => input.variable === variable)) {
    report(`Rename one of two inputs: both are ${variable}`);
  }
  const input: Input = {
    id,
    variable,
    description: undefined,
    fallback: undefined,
    password: false,
    options: [],
    at: -1,
  };
  if (inputs.size < 2 * MAX_INPUTS) inputs.set(id, input);
  return input;
}

function plainText({ program, title }: Dialect, inside: string): string {
  const [name = ""] = inside.split(":-");
  if (!NAME.test(name)) return `Taken as plain text, as ${title} does: it looks like a variable`;
  const hint = PLAIN.has(program) ? "" : `. Write "\${env:${name}}" for the variable`;
  return `"\${${clip(name, MAX_SHOWN)}}" is taken as plain text, as ${title} does${hint}`;
}
