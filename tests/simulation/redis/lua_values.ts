/**
 * Defines the values and library functions of the Lua in which the scripts of `redisStore` are written.
 *
 * Strings are JavaScript strings: what the scripts store is ASCII, so that characters are bytes.
 *
 * @module
 */

/** A function of Lua: it takes and returns lists of values. */
export type LuaFunction = (...args: unknown[]) => readonly unknown[];

/** A table of Lua. `nil` is `undefined`. */
export class LuaTable {
  readonly list: unknown[] = [];
  readonly map = new Map<unknown, unknown>();

  /** Creates a table of a list. */
  static of(list: Iterable<unknown>): LuaTable {
    const table = new LuaTable();
    let at = 1;
    for (const each of list) table.set(at++, each);
    return table;
  }

  get(key: unknown): unknown {
    if (typeof key === "number" && key >= 1 && key <= this.list.length) return this.list[key - 1];
    return this.map.get(key);
  }

  set(key: unknown, value: unknown): void {
    const { list, map } = this;
    if (key === undefined) throw new TypeError("A key of a table is nil");
    if (typeof key === "number" && key >= 1 && key <= list.length) {
      list[key - 1] = value;
      while (list.length > 0 && list.at(-1) === undefined) list.pop();
    } else if (key === list.length + 1 && value !== undefined) {
      list.push(value);
      map.delete(key);
      for (let next = map.get(list.length + 1); next !== undefined;) {
        map.delete(list.length + 1);
        list.push(next);
        next = map.get(list.length + 1);
      }
    } else if (value === undefined) map.delete(key);
    else map.set(key, value);
  }

  /** Lists keys and values: those of the list first, then in the order in which they were set. */
  *entries(): Iterable<readonly [unknown, unknown]> {
    for (const [at, value] of this.list.entries()) {
      if (value !== undefined) yield [at + 1, value];
    }
    yield* [...this.map];
  }
}

/** Whether a value counts as true. */
export function truthy(value: unknown): boolean {
  return value !== undefined && value !== false;
}

/** Converts to a number as arithmetic does. */
export function toNumber(value: unknown): number {
  const number = asNumber(value);
  if (number === undefined) throw new TypeError(`Arithmetic on ${typeof value}`);
  return number;
}

/** Returns the number that `tonumber` finds, or `undefined`. */
export function asNumber(value: unknown): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value !== "string" || !/^\s*[-+]?(\d|\.\d|0x)/i.test(value)) return undefined;
  const number = Number(value);
  return Number.isNaN(number) ? undefined : number;
}

/** Formats a number as `%.14g`, which `..` and `tostring` use. */
export function numberText(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 1e14) return String(value);
  const text = value.toPrecision(14);
  const [digits = "", exponent] = text.split("e");
  const short = digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits;
  if (exponent === undefined) return short;
  return `${short}e${exponent[0]}${exponent.slice(1).padStart(2, "0")}`;
}

/** Concatenates two strings or numbers. */
export function concat(left: unknown, right: unknown): string {
  return textOf(left) + textOf(right);
}

function textOf(value: unknown): string {
  if (typeof value === "number") return numberText(value);
  if (typeof value !== "string") throw new TypeError(`Concatenated ${typeof value}`);
  return value;
}

/** Compares two numbers or two strings. */
export function less(left: unknown, right: unknown, equal: boolean): boolean {
  if (typeof left === "number" && typeof right === "number") {
    return equal ? left <= right : left < right;
  }
  if (typeof left !== "string" || typeof right !== "string") {
    throw new TypeError(`Compared ${typeof left} with ${typeof right}`);
  }
  return equal ? left <= right : left < right;
}

/** Returns the length of a string or a table. */
export function lengthOf(value: unknown): number {
  if (typeof value === "string") return value.length;
  if (value instanceof LuaTable) return value.list.length;
  throw new TypeError(`Length of ${typeof value}`);
}

/** Reads an index; strings have their methods. */
export function index(value: unknown, key: unknown): unknown {
  if (value instanceof LuaTable) return value.get(key);
  if (typeof value === "string") return STRING.get(key);
  throw new TypeError(`Index ${String(key)} of ${value === undefined ? "nil" : typeof value}`);
}

/** Writes an index. */
export function assign(value: unknown, key: unknown, next: unknown): void {
  if (!(value instanceof LuaTable)) throw new TypeError(`Assignment to ${typeof value}`);
  value.set(key, next);
}

/** Calls a function. */
export function call(callee: unknown, args: readonly unknown[]): readonly unknown[] {
  if (typeof callee !== "function") throw new TypeError(`Call of ${typeof callee}`);
  return callee(...args);
}

const CLASSES: Readonly<Record<string, string>> = {
  ...{ d: "0-9", s: "\\s", a: "A-Za-z", w: "A-Za-z0-9", l: "a-z", u: "A-Z" },
  ...{ x: "0-9A-Fa-f" },
};
const patterns = new Map<string, RegExp>();

/** Translates a pattern of Lua to a regular expression. */
function regexOf(pattern: string): RegExp {
  const known = patterns.get(pattern);
  if (known !== undefined) return known;
  let source = "";
  let set = false;
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i] ?? "";
    if (char === "%") {
      const next = pattern[++i] ?? "";
      const found = CLASSES[next.toLowerCase()];
      if (found === undefined) source += `\\${next}`;
      else if (next === next.toLowerCase()) source += set ? found : `[${found}]`;
      else if (set) source += next === "S" ? "\\S" : fail(pattern);
      else source += `[^${found}]`;
    } else if (char === "[") {
      set = true;
      source += char;
    } else if (char === "]") {
      set = false;
      source += char;
    } else if (set) source += char === "\\" ? "\\\\" : char;
    else if (char === ".") source += "[^]";
    else if (char === "-") source += "*?";
    else if (char === "^" || char === "$") {
      const edge = char === "^" ? i === 0 : i === pattern.length - 1;
      source += edge ? char : `\\${char}`;
    } else if ("|\\{}".includes(char)) source += `\\${char}`;
    else source += char;
  }
  const regex = new RegExp(source, "g");
  patterns.set(pattern, regex);
  return regex;
}

function fail(pattern: string): never {
  throw new Error(`This pattern isn't supported: ${pattern}`);
}

function captures(found: RegExpExecArray): readonly unknown[] {
  return found.length === 1 ? [found[0]] : found.slice(1);
}

function slice(text: string, from: number, to = -1): string {
  const start = from < 0 ? Math.max(text.length + from, 0) : Math.max(from - 1, 0);
  return text.slice(start, to < 0 ? text.length + to + 1 : to);
}

/** Formats numbers and strings: `%.0f`, `%016.0f`, `%.17g`, `%d`, `%s`. */
function format(pattern: string, ...args: readonly unknown[]): string {
  let at = 0;
  return pattern.replace(/%(0?)(\d*)(?:\.(\d+))?([fgds%])/g, (_, zero, width, digits, kind) => {
    if (kind === "%") return "%";
    const value = args[at++];
    const text = kind === "s"
      ? String(value)
      : kind === "f"
      ? fixed(toNumber(value), Number(digits ?? 6))
      : kind === "d"
      ? String(Math.trunc(toNumber(value)))
      : String(toNumber(value));
    return text.padStart(Number(width || 0), zero || " ");
  });
}

function fixed(value: number, digits: number): string {
  return Math.abs(value) < 1e21 || digits > 0 ? value.toFixed(digits) : BigInt(value).toString();
}

function library(functions: Readonly<Record<string, LuaFunction>>): LuaTable {
  const table = new LuaTable();
  for (const [name, value] of Object.entries(functions)) table.set(name, value);
  return table;
}

const STRING = library({
  format: (pattern, ...args) => [format(String(pattern), ...args)],
  sub: (text, from, to) => [slice(String(text), toNumber(from), to as number | undefined)],
  match(text, pattern) {
    const regex = regexOf(String(pattern));
    regex.lastIndex = 0;
    const found = regex.exec(String(text));
    return found === null ? [undefined] : captures(found);
  },
  gmatch(text, pattern) {
    const all = String(text).matchAll(new RegExp(regexOf(String(pattern)).source, "g"));
    return [() => {
      const next = all.next();
      return next.done ? [undefined] : captures(next.value);
    }];
  },
  gsub(text, pattern, value, most = Infinity) {
    let count = 0;
    const regex = new RegExp(regexOf(String(pattern)).source, "g");
    const replaced = String(text).replace(
      regex,
      (all) => count < toNumber(most) ? (count++, String(value)) : all,
    );
    return [replaced, count];
  },
  find(text, pattern, from = 1, plain = false) {
    if (!truthy(plain)) fail(String(pattern));
    const at = String(text).indexOf(String(pattern), toNumber(from) - 1);
    return at < 0 ? [undefined] : [at + 1, at + String(pattern).length];
  },
});

function pairs(table: unknown): readonly unknown[] {
  if (!(table instanceof LuaTable)) throw new TypeError("pairs of no table");
  const all = [...table.entries()];
  let at = 0;
  return [() => all[at++] ?? [undefined]];
}

function ipairs(table: unknown): readonly unknown[] {
  if (!(table instanceof LuaTable)) throw new TypeError("ipairs of no table");
  let at = 0;
  return [() => {
    const value = table.get(++at);
    return value === undefined ? [undefined] : [at, value];
  }];
}

function fromJson(value: unknown): unknown {
  if (Array.isArray(value)) return LuaTable.of(value.map(fromJson));
  if (typeof value === "object") fail("cjson.decode of an object");
  return value;
}

function toJson(value: unknown): unknown {
  if (!(value instanceof LuaTable)) return value;
  return value.list.map(toJson);
}

/** What every script finds. */
export const LIBRARY: Readonly<Record<string, unknown>> = {
  string: STRING,
  math: library({
    floor: (value) => [Math.floor(toNumber(value))],
    ceil: (value) => [Math.ceil(toNumber(value))],
    max: (...all) => [Math.max(...all.map(toNumber))],
    min: (...all) => [Math.min(...all.map(toNumber))],
  }),
  table: library({
    concat(table, separator = "") {
      return [(table as LuaTable).list.map(textOf).join(String(separator))];
    },
    insert(table, value) {
      const list = table as LuaTable; // no script inserts into anything else
      list.set(list.list.length + 1, value);
      return [];
    },
  }),
  cjson: library({
    decode: (text) => [fromJson(JSON.parse(String(text)))],
    encode: (value) => [JSON.stringify(toJson(value))],
  }),
  tonumber: (value: unknown) => [asNumber(value)],
  tostring: (value: unknown) => [typeof value === "number" ? numberText(value) : String(value)],
  type: (value: unknown) => [
    value === undefined ? "nil" : value instanceof LuaTable ? "table" : typeof value,
  ],
  unpack: (table: LuaTable, from: unknown = 1) => table.list.slice(toNumber(from) - 1),
  pairs,
  ipairs,
};
