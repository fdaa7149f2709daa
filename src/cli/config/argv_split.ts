/**
 * Splits a command line into a program and its arguments, without a shell: nothing in it is expanded,
 * piped or redirected.
 *
 * Blanks separate arguments. `'…'` keeps everything as it is. `"…"` keeps everything but `\"` and
 * `\\`. Outside of quotes a backslash stands for itself, except before a blank, a quote or another
 * backslash, so that Windows paths need no escapes.
 *
 * @module
 */
import { quote } from "../../kit.ts";
import { usageError } from "../errors.ts";

/** One piece: a blank, a quoted text, an escaped character, or plain characters. */
const PIECE = /(\s+)|'([^']*)'|"((?:[^"\\]|\\[\s\S])*)"|\\([\s'"\\])|([^\s'"\\]+|\\)/y;
/** An argument that is an operator of a shell. */
const OPERATOR = /^(?:[|&;<>]+|\d?>{1,2}(?:&\d)?|\d?<)$/;
const ASSIGNMENT = /^[A-Za-z_][A-Za-z0-9_]*=/;

/**
 * Splits a command line.
 *
 * @returns The program, and its arguments
 * @throws {CliError} If it is empty, a quote isn't closed, or only a shell could run it
 */
export function splitArgv(line: string): [string, ...string[]] {
  const args: string[] = [];
  let current: string | undefined;
  let plain = true;
  const finish = (): void => {
    if (current === undefined) return;
    if (plain) refuseShell(current, args.length === 0);
    args.push(current);
    [current, plain] = [undefined, true];
  };
  PIECE.lastIndex = 0;
  while (PIECE.lastIndex < line.length) {
    const at = PIECE.lastIndex;
    const piece = PIECE.exec(line);
    if (piece === null) {
      throw usageError(`Close the quote that begins at character ${at + 1}: ${quote(line)}`);
    }
    const [, blank, single, double, escaped, rest] = piece;
    if (blank !== undefined) {
      finish();
      continue;
    }
    plain &&= rest !== undefined;
    current = (current ?? "") +
      (single ?? double?.replace(/\\(["\\])/g, "$1") ?? escaped ?? rest ?? "");
  }
  finish();
  const [program, ...rest] = args;
  if (program === undefined || program === "") {
    throw usageError(`Give a program and its arguments: ${quote(line)}`);
  }
  return [program, ...rest];
}

function refuseShell(word: string, first: boolean): void {
  if (OPERATOR.test(word)) {
    throw usageError(`No shell runs the command. Leave this out, or put it in quotes: ${word}`);
  }
  if (first && ASSIGNMENT.test(word)) {
    // The value may be a secret
    throw usageError(`Set a variable with --env before the command: ${word.replace(/=.*/s, "=…")}`);
  }
}
