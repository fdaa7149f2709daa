/**
 * Opens the audit trail of `mooring serve`, and logs when it can't be written.
 *
 * @module
 */
import { resolve } from "node:path";
import { audit, type AuditTrail } from "../../audit/mod.ts";
import { AuditFile } from "./audit_file.ts";
import type { Config } from "../config/schema.ts";
import { CliError, messageOf } from "../errors.ts";
import type { Log } from "../log.ts";

const MAX_BYTES = 10 * 1024 * 1024;
const MAX_FILES = 5;

/** An audit trail in a file. */
export interface FileTrail {
  readonly trail: AuditTrail;
  /** Opens the file anew: another program may have moved it. */
  reopen(): void;
  /** Writes what waits, and closes the file. */
  close(): Promise<void>;
}

/**
 * Opens the audit trail, if the configuration names a file.
 *
 * @throws {CliError} If the file can't be written
 */
export async function openAudit(
  { audit: given }: Config,
  log: Log,
): Promise<FileTrail | undefined> {
  if (given === undefined) return undefined;
  const { file, maxBytes = MAX_BYTES, files = MAX_FILES } = typeof given === "string"
    ? { file: given }
    : given;
  const target = new AuditFile({ path: resolve(file), maxBytes, maxFiles: files });
  try {
    await target.open();
  } catch (error) {
    throw new CliError(`Give a file that can be written as --audit: ${messageOf(error)}`);
  }
  let fails = false;
  const trail = audit({
    async write(lines) {
      try {
        await target.write(lines);
      } catch (error) {
        if (!fails) log("error", "audit-failed", { message: messageOf(error) });
        fails = true;
        throw error;
      }
      if (fails) log("info", "audit-works", { dropped: trail.stats().dropped });
      fails = false;
    },
  });
  return {
    trail,
    reopen() {
      // The next write opens it, and reports what is wrong with it.
      target.reopen().catch(() => {});
    },
    async close() {
      await trail.close();
      await target.reopen().catch(() => {});
      const { dropped } = trail.stats();
      if (dropped > 0) log("error", "audit-dropped", { lines: dropped });
    },
  };
}
