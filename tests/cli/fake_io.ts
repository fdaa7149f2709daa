/**
 * The command in this very process, with what it writes kept.
 *
 * @module
 */
import type { Io } from "../../src/cli/io.ts";
import { type CommandActions, run } from "../../src/cli/program.ts";
import { Secrets } from "../../src/cli/redact.ts";

/** Runs the command to its end. */
export async function runHere(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  commands?: CommandActions,
  more: Partial<Io> = {},
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const written = { out: "", err: "" };
  const secrets = new Secrets();
  const sink = (key: "out" | "err") => ({
    write(line: string): void {
      written[key] += secrets.redact(line);
    },
  });
  const io: Io = {
    env,
    secrets,
    out: sink("out"),
    err: sink("err"),
    terminal: false,
    color: false,
    onSignal: () => () => {},
    ...more,
  };
  const code = await run(args, io, commands);
  return { code, ...written };
}
