/**
 * Finds what is wrong in a JSON text. The runtimes' own messages differ, and some name no place.
 *
 * @module
 */

/** What is wrong, and where. */
export interface JsonProblem {
  readonly message: string;
  /** Counted from 1. */
  readonly line: number;
  /** Counted from 1, in characters. */
  readonly column: number;
}

/** How deep a configuration may be nested. */
const DEEPEST = 64;

const BLANK = /[ \t\n\r]*/y;
// deno-lint-ignore no-control-regex
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const SCALAR = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.+-])|(?:true|false|null)(?!\w)/y;

/** The first thing that is wrong in a text, or a key that an object has twice. */
export function jsonProblem(text: string): JsonProblem | undefined {
  const reader = new Reader(text);
  try {
    reader.value(0);
    reader.end();
    return undefined;
  } catch (error) {
    if (!(error instanceof Wrong)) throw error;
    const before = text.slice(0, error.at).split("\n");
    const column = [...before.at(-1) ?? ""].length + 1;
    return { message: error.message, line: before.length, column };
  }
}

class Wrong extends Error {
  readonly at: number;

  constructor(at: number, message: string) {
    super(message);
    this.at = at;
  }
}

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(depth: number): void {
    this.#take(BLANK);
    const next = this.#text[this.#at];
    if (depth > DEEPEST) throw this.#wrong(`Nest at most ${DEEPEST} levels`);
    if (next === "{") return this.#members(depth);
    if (next === "[") return this.#list("]", () => this.value(depth + 1));
    if (next === '"') return void this.#string();
    if (this.#take(SCALAR) === undefined) throw this.#wrong("Put a value here");
  }

  end(): void {
    this.#take(BLANK);
    if (this.#at < this.#text.length) throw this.#wrong("Leave out what follows the value");
  }

  #members(depth: number): void {
    const keys = new Set<string>();
    this.#list("}", () => {
      const at = this.#at;
      if (this.#text[at] !== '"') throw this.#wrong("Put a key in double quotes here");
      const key = this.#string();
      if (keys.has(key)) throw new Wrong(at, `Leave out one of the two keys ${key}`);
      keys.add(key);
      this.#take(BLANK);
      if (this.#text[this.#at] !== ":") throw this.#wrong('Put a ":" after the key');
      this.#at++;
      this.value(depth + 1);
    });
  }

  /** What stands between brackets, with commas between its items. */
  #list(close: string, item: () => void): void {
    this.#at++;
    this.#take(BLANK);
    if (this.#text[this.#at] === close) return void this.#at++;
    for (;;) {
      item();
      this.#take(BLANK);
      const next = this.#text[this.#at];
      if (next !== "," && next !== close) throw this.#wrong(`Put a "," or "${close}" here`);
      const comma = this.#at++;
      if (next === close) return;
      this.#take(BLANK);
      if (this.#text[this.#at] === close) throw new Wrong(comma, "Leave out the last comma");
    }
  }

  #string(): string {
    const found = this.#take(STRING);
    if (found === undefined) throw this.#wrong("Close this text with a double quote, on its line");
    return found;
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  #wrong(message: string): Wrong {
    if (this.#at >= this.#text.length) return new Wrong(this.#at, `${message}: the file ends`);
    const comment = /^\/[/*]/.test(this.#text.slice(this.#at, this.#at + 2));
    return new Wrong(this.#at, comment ? "Leave out the comment: JSON has none" : message);
  }
}
