/**
 * Runs `mooring pin`: writes the digests of the definitions that servers have now into a file beside the
 * configuration.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { basename, dirname, extname, join, resolve } from "node:path";
import { applyEdits, modify } from "jsonc-parser";
import { definitionDigest, type UpstreamPins } from "../../gateway/mod.ts";
import { LISTS } from "../../gateway/shared/list_kinds.ts";
import { clip, escapeInvisible, quote } from "../../kit.ts";
import { type Backend, backend } from "../serve/backend.ts";
import { examineConfig, parseConfig, readConfig } from "../config/config.ts";
import type { ServerEntry } from "../config/schema.ts";
import { definitionsOf } from "../inspect/definitions.ts";
import { ExitCode, messageOf, usageError } from "../errors.ts";
import type { Io } from "../io.ts";
import { printable } from "../log.ts";
import { type Pins, readPins, writePins } from "../config/pins.ts";
import { enabledServers } from "../config/settings.ts";
import { writeWarnings } from "../serve/warnings.ts";

/** The options of `mooring pin`. */
export interface PinOptions {
  /** The name of the only server to pin. */
  readonly server?: string;
  /** The values of the file's inputs, by their ids. */
  readonly input?: Readonly<Record<string, string>>;
}

/** The lists whose definitions are pinned. */
const PINNED = ["tools", "prompts", "templates"] as const;
/** Characters of an error that are shown. */
const MAX_LENGTH = 1_000;
const FORMAT = { formattingOptions: { tabSize: 2, insertSpaces: true, eol: "\n" } };

/**
 * Pins the definitions of the servers of a file.
 *
 * @throws {CliError} If the file can't be used, or has no such server
 */
export async function pin(
  file: string,
  { server, input: inputs }: PinOptions,
  io: Io,
): Promise<ExitCode> {
  const source = { file, text: await readConfig(file), env: io.env, inputs };
  const { config, secrets, warnings } = parseConfig(source);
  io.secrets.add(secrets);
  writeWarnings(warnings, io);
  const servers = enabledServers(config);
  if (server !== undefined && !servers.has(server)) {
    const listed = [...servers.keys()].map((name) => quote(name)).join(", ");
    throw usageError(`Give --server a server of the file, which are ${listed}: ${quote(server)}`);
  }
  const beside = join(dirname(resolve(file)), `${basename(file, extname(file))}.pins.json`);
  const place = config.pins ?? beside;
  const text = config.pins === undefined ? withPins(source, basename(place)) : undefined;
  const before: Pins = existsSync(place) ? readPins(place) : {};
  const pins: Record<string, UpstreamPins> = { ...before };
  let failed = 0;
  for (const [name, entry] of servers) {
    if (server !== undefined && name !== server) continue;
    try {
      const now = await pinsOf(name, entry, backend);
      const old = Object.hasOwn(before, name) ? before[name] : undefined;
      pins[name] = now;
      io.out.write(`${name}: ${countText(now)}\n`);
      for (const { kind, own, change } of old === undefined ? [] : differences(old, now)) {
        io.out.write(`  ${change.padEnd(7)} ${kind} ${printable(own)}\n`);
      }
    } catch (error) {
      failed++;
      const shown = clip(printable(io.secrets.redact(messageOf(error))), MAX_LENGTH);
      io.out.write(`FAILED ${name}: ${shown}\n`);
    }
  }
  if (Object.keys(pins).length === 0) return ExitCode.Failed;
  await writePins(place, pins);
  io.out.write(escapeInvisible(`Written to ${place}\n`));
  if (text !== undefined) {
    await writeFile(file, text);
    io.out.write(escapeInvisible(`Added "pins" to ${file}\n`));
  }
  return failed === 0 ? ExitCode.Ok : ExitCode.Failed;
}

/**
 * Returns a configuration's text with the key `pins`.
 *
 * @throws {CliError} If the file is of a program that keeps other settings in it
 */
function withPins(source: Parameters<typeof examineConfig>[0], pins: string): string {
  const text = applyEdits(source.text, modify(source.text, ["pins"], pins, FORMAT));
  if (examineConfig({ ...source, text }).config?.pins !== undefined) return text;
  throw usageError(
    `Copy the servers with "mooring import" first: ${source.file} is of another program`,
  );
}

/**
 * Returns the digests of the definitions that a server has now.
 *
 * @throws If the server can't be reached
 */
export async function pinsOf(
  name: string,
  entry: ServerEntry,
  backend: Pick<Backend, "upstream">,
): Promise<UpstreamPins> {
  const found = await definitionsOf(name, entry, backend);
  return Object.fromEntries(
    PINNED.map((kind) => [
      kind,
      Object.fromEntries(
        found[kind].map((each) => [String(each[LISTS[kind].id]), definitionDigest(each)]),
      ),
    ]),
  );
}

/** A difference between pinned definitions. */
export interface Difference {
  readonly kind: "tool" | "prompt" | "template";
  readonly own: string;
  readonly change: "new" | "changed" | "gone";
}

const KIND_NAMES = { tools: "tool", prompts: "prompt", templates: "template" } as const;

/** Returns the differences between pinned definitions, in lists that were pinned before. */
export function differences(before: UpstreamPins, now: UpstreamPins): readonly Difference[] {
  return PINNED.flatMap((kind) => {
    const { [kind]: old } = before;
    const { [kind]: current = {} } = now;
    if (old === undefined) return [];
    const names = new Set([...Object.keys(old), ...Object.keys(current)]);
    return [...names].flatMap((own): Difference[] => {
      const [was, is] = [old, current].map((all) => Object.hasOwn(all, own) ? all[own] : undefined);
      if (was === is) return [];
      const change = was === undefined ? "new" : is === undefined ? "gone" : "changed";
      return [{ kind: KIND_NAMES[kind], own, change }];
    });
  });
}

function countText(pins: UpstreamPins): string {
  return PINNED.map((kind) => {
    const count = Object.keys(pins[kind] ?? {}).length;
    return `${count} ${KIND_NAMES[kind]}${count === 1 ? "" : "s"}`;
  }).join(", ");
}
