/**
 * Matches URIs against a template in linear time: simulates a nondeterministic automaton, which
 * follows all alternatives in parallel and never backtracks.
 *
 * @module
 */
import type { Expression } from "./uri_template_syntax.ts";

/** The greatest length of a URI, in characters. */
const LONGEST = 8_192;

/**
 * Finds the values of a template's variables in a URI. Returns `undefined` when the URI doesn't
 * match.
 */
export type UriMatcher = (uri: string) => Record<string, string> | undefined;

type Instruction =
  /** Consumes exactly this character. */
  | { readonly op: "char"; readonly code: number }
  /** Consumes any character except these. */
  | { readonly op: "any"; readonly except: string }
  /** Continues at both places, and prefers the first. */
  | { readonly op: "fork"; readonly first: number; second: number }
  | { readonly op: "jump"; to: number }
  /** Records where a value begins or ends. */
  | { readonly op: "note"; readonly slot: number }
  | { readonly op: "end" };

/** One thread of the automaton: its place in the program, and the recorded positions. */
interface Thread {
  readonly at: number;
  readonly notes: readonly number[];
}

interface Variable {
  readonly name: string;
  readonly reserved: boolean;
}

class MatcherProgram {
  readonly code: Instruction[] = [];
  readonly variables: Variable[] = [];

  text(text: string): void {
    for (let i = 0; i < text.length; i++) this.code.push({ op: "char", code: text.charCodeAt(i) });
  }

  /** Makes what `body` adds optional, and prefers to match it. */
  optional(body: () => void): void {
    const fork = { op: "fork" as const, first: this.code.length + 1, second: 0 };
    this.code.push(fork);
    body();
    fork.second = this.code.length;
  }

  /** Adds the value of a variable, which is matched as long as possible. */
  value(slot: number, except: string, mayBeEmpty: boolean): void {
    this.note(slot * 2);
    const some = () => {
      const start = this.code.length;
      this.code.push({ op: "any", except });
      this.code.push({ op: "fork", first: start, second: start + 2 });
    };
    if (mayBeEmpty) this.optional(some);
    else some();
    this.note(slot * 2 + 1);
  }

  note(slot: number): void {
    this.code.push({ op: "note", slot });
  }
}

/** Compiles a template's literals, already encoded, and expressions into a matcher. */
export function compileMatcher(parts: readonly (string | Expression)[]): UriMatcher {
  const program = new MatcherProgram();
  for (const part of parts) {
    if (typeof part === "string") program.text(part);
    else if (part.operator.named) addNamed(program, part);
    else addUnnamed(program, part);
  }
  program.code.push({ op: "end" });
  const [prefix] = parts;
  const start = typeof prefix === "string" ? prefix : "";
  return (uri) => {
    if (uri.length > LONGEST || !uri.startsWith(start)) return undefined;
    const notes = run(program.code, uri);
    return notes && read(program.variables, notes, uri);
  };
}

/** Adds values without names. Missing values are missing at the end. */
function addUnnamed(program: MatcherProgram, { operator, names }: Expression): void {
  const { first, separator, reserved, ends } = operator;
  const except = names.length > 1 ? ends + separator : ends;
  const add = (index: number): void => {
    const name = names[index];
    if (name === undefined) return;
    const one = () => {
      program.text(index === 0 ? first : separator);
      program.value(program.variables.push({ name, reserved }) - 1, except, false);
      add(index + 1);
    };
    if (index === 0 && first === "") one();
    else program.optional(one);
  };
  add(0);
}

/** Adds values with names. Any may be missing, so the first present one gets the other prefix. */
function addNamed(program: MatcherProgram, { operator, names }: Expression): void {
  const { first, separator } = operator;
  const slots = names.map((name) => program.variables.push({ name, reserved: false }) - 1);
  const pair = (index: number, prefix: string): void => {
    program.text(`${prefix}${names[index]}`);
    addNamedValue(program, operator, slots[index] ?? 0);
  };
  if (first === separator) {
    for (const index of names.keys()) program.optional(() => pair(index, first));
    return;
  }
  const jumps = names.map(() => ({ op: "jump" as const, to: 0 }));
  for (const [index, jump] of jumps.entries()) {
    program.optional(() => {
      pair(index, first);
      program.code.push(jump);
    });
  }
  const none = { op: "jump" as const, to: 0 };
  program.code.push(none);
  for (const [index, jump] of jumps.entries()) {
    if (index > 0) program.optional(() => pair(index, separator));
    jump.to = program.code.length;
  }
  none.to = program.code.length;
}

function addNamedValue(
  program: MatcherProgram,
  { bare, ends }: Expression["operator"],
  slot: number,
) {
  const given = () => {
    program.text("=");
    program.value(slot, ends, true);
  };
  if (!bare) return given();
  program.note(slot * 2);
  program.note(slot * 2 + 1);
  program.optional(given);
}

/**
 * Runs all threads through a URI. Returns the recorded positions of the preferred one that matches.
 */
function run(code: readonly Instruction[], uri: string): readonly number[] | undefined {
  const seen = new Int32Array(code.length).fill(-1);
  let threads: Thread[] = [];
  follow(code, threads, seen, 0, 0, []);
  for (let i = 0; i < uri.length && threads.length > 0; i++) {
    const next: Thread[] = [];
    for (const { at, notes } of threads) {
      if (takes(code[at], uri, i)) follow(code, next, seen, at + 1, i + 1, notes);
    }
    threads = next;
  }
  return threads.find(({ at }) => code[at]?.op === "end")?.notes;
}

function takes(instruction: Instruction | undefined, uri: string, i: number): boolean {
  if (instruction?.op === "char") return instruction.code === uri.charCodeAt(i);
  return instruction?.op === "any" && !instruction.except.includes(uri.charAt(i));
}

/** Adds the threads that start at a place, the preferred one first and each place once. */
function follow(
  code: readonly Instruction[],
  threads: Thread[],
  seen: Int32Array,
  at: number,
  i: number,
  notes: readonly number[],
): void {
  if (seen[at] === i) return;
  seen[at] = i;
  const instruction = code[at];
  if (instruction?.op === "fork") {
    follow(code, threads, seen, instruction.first, i, notes);
    follow(code, threads, seen, instruction.second, i, notes);
  } else if (instruction?.op === "jump") {
    follow(code, threads, seen, instruction.to, i, notes);
  } else if (instruction?.op === "note") {
    const noted = notes.slice();
    noted[instruction.slot] = i;
    follow(code, threads, seen, at + 1, i, noted);
  } else {
    threads.push({ at, notes });
  }
}

function read(
  variables: readonly Variable[],
  notes: readonly number[],
  uri: string,
): Record<string, string> | undefined {
  const values: [string, string][] = [];
  for (const [slot, { name, reserved }] of variables.entries()) {
    const start = notes[slot * 2];
    const end = notes[slot * 2 + 1];
    if (start === undefined || end === undefined) continue;
    const raw = uri.slice(start, end);
    try {
      values.push([name, reserved ? decodeURI(raw) : decodeURIComponent(raw)]);
    } catch {
      return undefined;
    }
  }
  return Object.fromEntries(values);
}
