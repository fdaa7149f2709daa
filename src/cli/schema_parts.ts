/**
 * The pieces that the configuration's schema is made of, with messages that say what to do and never
 * repeat a value: it may be a secret.
 *
 * @module
 */
import { z } from "zod";
import { nearest } from "./nearest.ts";

/** Keys that other programs use, and what they are called here. */
const OTHER_KEYS: Readonly<Record<string, string>> = {
  servers: "mcpServers",
  hostname: "host",
  origins: "allowedOrigins",
  hosts: "allowedHosts",
  serverUrl: "url",
  transport: "type",
  cmd: "command",
  environment: "env",
  workingDirectory: "cwd",
};

/** An object that has these keys and no others. */
export function object<T extends z.core.$ZodLooseShape>(shape: T): z.ZodObject<T, z.core.$strict> {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === "unrecognized_keys"
        ? issue.keys.map((key) => unknownKey(key, known)).join("\n")
        : "Give an object",
  });
}

function unknownKey(key: string, known: readonly string[]): string {
  const meant = nearestKey(key, known);
  if (meant !== undefined) return `There is no such key. Did you mean "${meant}"?`;
  return `There is no such key. Use ${known.join(", ")}`;
}

/** The key that was probably meant. */
export function nearestKey(key: string, known: readonly string[]): string | undefined {
  const other = Object.hasOwn(OTHER_KEYS, key) ? OTHER_KEYS[key] : undefined;
  return other !== undefined && known.includes(other) ? other : nearest(key, known);
}

/** Any text but the empty one. */
export const text = z.string({ error: "Give a text" }).min(1, {
  error: "Give a text that isn't empty",
});

/** A list of texts. */
export const texts = z.array(text, { error: "Give a list of texts" });

/** Texts by name. */
export const textsByName = z.record(z.string(), z.string({ error: "Give a text" }), {
  error: "Give an object of texts",
});

/** Yes or no. */
export const flag = z.boolean({ error: "Give true or false" });

/** A whole number, which a variable of the environment may have been. */
export function integer(least: number, most = Number.MAX_SAFE_INTEGER) {
  const range = most === Number.MAX_SAFE_INTEGER ? `${least} or more` : `${least} to ${most}`;
  const error = `Give a whole number, ${range}`;
  return z.preprocess(
    (value) => typeof value === "string" && /^\d{1,15}$/.test(value) ? Number(value) : value,
    z.int({ error }).min(least, { error }).max(most, { error }),
  );
}

/** One of a few texts. */
export function oneOf<const T extends readonly string[]>(values: T, error?: string) {
  return z.enum(values, { error: error ?? `Give one of ${values.join(", ")}` });
}

/** A URL of HTTP. */
export const httpUrl = text.refine(
  (value) => /^https?:\/\//i.test(value) && URL.canParse(value) && !value.includes("#"),
  { error: 'Give a URL that begins with "https://" or "http://"' },
);
