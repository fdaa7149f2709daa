/**
 * Finds out what kind of project to write: by options, by questions, or by defaults.
 *
 * @module
 */
import { usageError } from "../errors.ts";
import { quote } from "../../kit.ts";

/** What runs the project. */
export const NEW_RUNTIMES = ["deno", "bun", "node"] as const;
/** How clients reach the server. */
export const NEW_TRANSPORTS = ["http", "stdio"] as const;
/** How users show who they are. */
export const NEW_AUTHS = ["none", "bearer", "sign-in"] as const;

/** A kind of project. */
export interface Choices {
  readonly runtime: (typeof NEW_RUNTIMES)[number];
  readonly transport: (typeof NEW_TRANSPORTS)[number];
  readonly auth: (typeof NEW_AUTHS)[number];
}

/** A question with a few answers. */
export interface ChoiceQuestion {
  readonly message: string;
  readonly answers: readonly { readonly value: string; readonly label: string }[];
  /** The answer that is selected at first. */
  readonly first: string;
}

/** Asks the user; `undefined` if they give up. */
export type Ask = (question: ChoiceQuestion) => Promise<string | undefined>;

/** What {@linkcode choose} knows. */
export interface ChooseInit {
  readonly runtime?: string;
  readonly transport?: string;
  readonly auth?: string;
  /** Takes the defaults for what isn't given. */
  readonly yes?: boolean;
  /** The runtime that this runs under. */
  readonly here: Choices["runtime"];
  /** `undefined` where there is nobody to ask. */
  readonly ask: Ask | undefined;
}

const LABELS = {
  runtime: { deno: "Deno", bun: "Bun", node: "Node" },
  transport: {
    http: "HTTP: clients connect to a URL",
    stdio: "stdio: each client starts the program",
  },
  auth: {
    none: "Nobody: everybody on this machine may call",
    bearer: "Bearer token: one that you hand out",
    "sign-in": "Sign in: users log in with an OpenID provider",
  },
} as const;

/**
 * Returns what to write, asking for what isn't given.
 *
 * @returns `undefined` if the user gives up
 * @throws {CliError} If an option has another value, two don't fit, or there is nobody to ask
 */
export async function choose(init: ChooseInit): Promise<Choices | undefined> {
  const { here, yes = false, ask } = init;
  const given = {
    runtime: known("--runtime", NEW_RUNTIMES, init.runtime),
    transport: known("--transport", NEW_TRANSPORTS, init.transport),
    auth: known("--auth", NEW_AUTHS, init.auth),
  };
  if (given.transport === "stdio" && given.auth !== undefined && given.auth !== "none") {
    throw usageError(
      `Give --auth ${given.auth} with --transport http: over stdio, the client's user is the only one`,
    );
  }
  const needed = ["runtime", "transport", ...given.transport === "stdio" ? [] : ["auth"]];
  const missing = Object.entries(given)
    .flatMap(([name, value]) => value === undefined && needed.includes(name) ? [`--${name}`] : []);
  if (missing.length > 0 && !yes && ask === undefined) {
    throw usageError(
      `Give ${missing.join(", ")}, or --yes for the defaults: there is no terminal to ask at`,
    );
  }
  const answer = async <T extends string>(
    name: keyof typeof LABELS,
    message: string,
    values: readonly T[],
    first: T,
  ): Promise<T | undefined> => {
    if (yes || ask === undefined) return first;
    // Each table has a label for each of the values
    const labels = LABELS[name] as Readonly<Record<string, string>>;
    const answers = values.map((value) => ({ value, label: labels[value] ?? value }));
    const found = await ask({ message, answers, first });
    return values.find((value) => value === found);
  };
  const runtime = given.runtime ??
    await answer("runtime", "What runs the server?", NEW_RUNTIMES, here);
  if (runtime === undefined) return undefined;
  const transport = given.transport ??
    (given.auth === "bearer" || given.auth === "sign-in"
      ? "http"
      : await answer("transport", "How do clients reach it?", NEW_TRANSPORTS, "http"));
  if (transport === undefined) return undefined;
  const auth = given.auth ??
    (transport === "stdio"
      ? "none"
      : await answer("auth", "How do users show who they are?", NEW_AUTHS, "none"));
  return auth === undefined ? undefined : { runtime, transport, auth };
}

/** Checks the value of an option. */
function known<T extends string>(
  flag: string,
  values: readonly T[],
  given: string | undefined,
): T | undefined {
  if (given === undefined) return undefined;
  const found = values.find((value) => value === given.toLowerCase());
  if (found !== undefined) return found;
  throw usageError(
    `Give ${flag} ${values.slice(0, -1).join(", ")} or ${values.at(-1)}: ${quote(given)}`,
  );
}
