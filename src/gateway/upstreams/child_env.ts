/**
 * Builds the environment of a child process.
 *
 * @module
 */
import process from "node:process";

/** The variables that are inherited: those that programs need, and none that holds a secret. */
const INHERITED = [
  "HOME",
  "LANG",
  "LANGUAGE",
  "LC_ALL",
  "LC_CTYPE",
  "LOGNAME",
  "PATH",
  "SHELL",
  "TERM",
  "TMPDIR",
  "TZ",
  "USER",
  // Windows
  "APPDATA",
  "COMSPEC",
  "HOMEDRIVE",
  "HOMEPATH",
  "LOCALAPPDATA",
  "PATHEXT",
  "PROCESSOR_ARCHITECTURE",
  "PROGRAMDATA",
  "PROGRAMFILES",
  "SYSTEMDRIVE",
  "SYSTEMROOT",
  "TEMP",
  "TMP",
  "USERNAME",
  "USERPROFILE",
  "WINDIR",
] as const;

/** Returns the environment of a child process: the inherited variables and the given ones. */
export function childEnv(given: Readonly<Record<string, string>>): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of INHERITED) {
    const value = process.env[name];
    // Shells would run such a value as a function.
    if (value !== undefined && !value.startsWith("()")) env[name] = value;
  }
  return { ...env, ...given };
}
