/**
 * Replaces environment variables in texts: `${NAME}`, and `${NAME:-default}` where the variable may be
 * unset or empty. `$${` becomes `${`.
 *
 * @module
 */

/** The environment variables of the process. */
export type Env = Readonly<Record<string, string | undefined>>;

/** A mistake at a place in a configuration. */
export interface EnvProblem {
  /** The keys and indices that lead there from the top. */
  readonly path: readonly (string | number)[];
  /** The message that says what to do. Never contains a value, which may be a secret. */
  readonly message: string;
  /** The place in the text, if it isn't that of the path. */
  readonly offset?: number;
  /** The variable that has no value, if that is the mistake: it is reported at its first place only. */
  readonly variable?: string;
}

/** The result of {@linkcode expand}. */
export interface Expanded {
  /** The value with its variables replaced. */
  readonly value: unknown;
  /** The values that came from the environment. */
  readonly secrets: readonly string[];
  /** The variables that could not be replaced. They stand in the value as they were. */
  readonly problems: readonly EnvProblem[];
}

const REFERENCE = /\$\$\{|\$\{([^}]*)(\}?)/g;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** What is known of variables that the environment may not have. */
export interface Unset {
  /** Returns the value of a variable without one. It is no secret. */
  fallback?(name: string): string | undefined;
  /** Returns what to do for a variable that has no value. */
  advice?(name: string): string | undefined;
}

/** Replaces the variables in every text of a JSON value. Keys stay as they are. */
export function expand(value: unknown, env: Env, unset: Unset = {}): Expanded {
  const secrets: string[] = [];
  const problems: EnvProblem[] = [];
  const walk = (value: unknown, path: readonly (string | number)[]): unknown => {
    if (typeof value === "string") {
      const report = (message: string, variable?: string): void =>
        void problems.push({ path, message, ...variable !== undefined && { variable } });
      return expandText(value, { env, unset, secrets, report });
    }
    if (Array.isArray(value)) return value.map((entry, at) => walk(entry, [...path, at]));
    if (typeof value !== "object" || value === null) return value;
    // Entries instead of assignments: a key may be `__proto__`
    return Object.fromEntries(
      Object.entries(value).map(([key, entry]) => [key, walk(entry, [...path, key])]),
    );
  };
  return { value: walk(value, []), secrets, problems };
}

interface Expansion {
  readonly env: Env;
  readonly unset: Unset;
  readonly secrets: string[];
  readonly report: (message: string, variable?: string) => void;
}

function expandText(text: string, { env, unset, secrets, report }: Expansion): string {
  return text.replace(REFERENCE, (found, inside: string | undefined, end: string) => {
    if (inside === undefined) return "${";
    const [name = "", ...rest] = inside.split(":-");
    if (end === "" || !NAME.test(name)) {
      report('Write a variable as "${NAME}" or "${NAME:-default}", and a plain "${" as "$${"');
      return found;
    }
    const value = Object.hasOwn(env, name) ? env[name] : undefined;
    if (value !== undefined && (value !== "" || rest.length === 0)) {
      secrets.push(value);
      return value;
    }
    if (rest.length > 0) return rest.join(":-");
    const fallback = unset.fallback?.(name);
    if (fallback !== undefined) return fallback;
    report(unset.advice?.(name) ?? `Set the environment variable ${name}`, name);
    return found;
  });
}
