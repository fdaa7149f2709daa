/**
 * The errors of the command, and its exit codes.
 *
 * @module
 */

/** Exit codes: the command succeeded, it failed, or the command line can't be understood. */
export const ExitCode = { Ok: 0, Failed: 1, Usage: 2 } as const;

/** One of {@linkcode ExitCode}. */
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** Thrown for an expected failure: its message is shown without a stack. */
export class CliError extends Error {
  override readonly name = "CliError";
  /** The exit code of the process. */
  readonly exitCode: ExitCode;

  constructor(message: string, exitCode: ExitCode = ExitCode.Failed, options?: ErrorOptions) {
    super(message, options);
    this.exitCode = exitCode;
  }
}

/** Creates the error for a command line that can't be understood. */
export function usageError(message: string): CliError {
  return new CliError(message, ExitCode.Usage);
}

/** Returns the message of any thrown value. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message || error.name : String(error);
}
