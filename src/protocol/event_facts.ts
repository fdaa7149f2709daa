/**
 * Describes requests in events: bounded texts without characters that control a terminal, and no name
 * that only the client knows.
 *
 * @module
 */
import { escapeInvisible } from "../internal/invisible.ts";
import { clip } from "../internal/quote.ts";
import type { ClientProgram } from "./events.ts";
import { methodFacts } from "./methods.ts";
import type { Route } from "./route.ts";
import type { Implementation } from "./shapes.ts";

/** The maximum number of characters of a text from outside. */
const MOST = 100;
/** Matches texts that are shown as they are. */
const PLAIN = /^[ -~]*$/;
/** The name of every method that isn't served, in events. */
const UNKNOWN_METHOD = "(unknown)";
/** The maximum number of remembered client programs. */
const MOST_PROGRAMS = 256;

/** Returns the name of a request's method for events. */
export function reportedMethod(
  { method, target, served }: Pick<Route, "method" | "target" | "served">,
): string {
  // What is about something that the server has is a method that it has.
  const known = target !== undefined || served === true || methodFacts(method) !== undefined;
  return known ? method : UNKNOWN_METHOD;
}

/** Describes client programs, and remembers the descriptions: most requests come from a few programs. */
export class ClientPrograms {
  readonly #versions = new Map<string, Map<string, ClientProgram>>();
  #size = 0;

  /** Returns a program's name and version for events. */
  describe({ name, version }: Implementation): ClientProgram {
    const known = this.#versions.get(name)?.get(version);
    if (known !== undefined) return known;
    const program = Object.freeze({ name: shown(name), version: shown(version) });
    // What was clipped is not remembered: it could be of any length.
    if (name.length > MOST || version.length > MOST) return program;
    if (++this.#size > MOST_PROGRAMS) {
      this.#versions.clear();
      this.#size = 1;
    }
    const versions = this.#versions.get(name) ?? new Map<string, ClientProgram>();
    this.#versions.set(name, versions.set(version, program));
    return program;
  }
}

/** Returns a text from outside, clipped and with invisible characters escaped. */
export function shown(text: string): string {
  const short = clip(text, MOST);
  return PLAIN.test(short)
    ? short
    : clip(escapeInvisible(short).replaceAll(/[\r\n\t]/g, " "), MOST);
}
