/**
 * What the command says when it can't go on.
 *
 * @module
 */

/** Exit codes: what was asked failed, or it was asked in a way that can't be understood. */
export const ExitCode = { Ok: 0, Failed: 1, Usage: 2 } as const;

/** One of {@linkcode ExitCode}. */
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** A failure that its message explains: it is shown without a stack. */
export class CliError extends Error {
  override readonly name = "CliError";
  /** What the process exits with. */
  readonly exitCode: ExitCode;

  constructor(message: string, exitCode: ExitCode = ExitCode.Failed, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** The words of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}
