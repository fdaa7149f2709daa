/**
 * Variables of the environment in texts: `${NAME}`, and `${NAME:-default}` for where it is unset or
 * empty. `$${` stands for `${`.
 *
 * @module
 */

/** The environment. */
export type Env = Readonly<Record<string, string | undefined>>;

/** Something that is wrong at a place in a configuration. */
export interface Problem {
  /** Where: keys and indices from the top. */
  readonly path: readonly (string | number)[];
  /** What to do. Never a value that may be a secret. */
  readonly message: string;
}

/** What a value became. */
export interface Expanded {
  /** The value, with every variable in its place. */
  readonly value: unknown;
  /** What came out of the environment. */
  readonly secrets: readonly string[];
  /** What could not be filled in. */
  readonly problems: readonly Problem[];
}

const REFERENCE = /\$\$\{|\$\{([^}]*)(\}?)/g;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Fills variables into every text of a JSON value, its keys left as they are. */
export function expand(value: unknown, env: Env): Expanded {
  const secrets: string[] = [];
  const problems: Problem[] = [];
  const walk = (value: unknown, path: readonly (string | number)[]): unknown => {
    if (typeof value === "string") {
      return fill(value, env, secrets, (message) => problems.push({ path, message }));
    }
    if (Array.isArray(value)) return value.map((entry, at) => walk(entry, [...path, at]));
    if (typeof value !== "object" || value === null) return value;
    // Entries, not assignments: a key may be `__proto__`
    return Object.fromEntries(
      Object.entries(value).map(([key, entry]) => [key, walk(entry, [...path, key])]),
    );
  };
  return { value: walk(value, []), secrets, problems };
}

function fill(
  text: string,
  env: Env,
  secrets: string[],
  wrong: (message: string) => void,
): string {
  return text.replace(REFERENCE, (found, inside: string | undefined, end: string) => {
    if (inside === undefined) return "${";
    const [name = "", ...rest] = inside.split(":-");
    if (end === "" || !NAME.test(name)) {
      wrong('Write a variable as "${NAME}" or "${NAME:-default}", and a plain "${" as "$${"');
      return found;
    }
    const value = Object.hasOwn(env, name) ? env[name] : undefined;
    if (value !== undefined && (value !== "" || rest.length === 0)) {
      secrets.push(value);
      return value;
    }
    if (rest.length === 0) wrong(`Set the environment variable ${name}`);
    return rest.join(":-");
  });
}
