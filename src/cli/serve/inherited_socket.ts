/**
 * Finds the listening socket that a service manager, such as systemd, has opened for this process: it keeps
 * the socket while one process ends and the next begins, and connections wait.
 *
 * @module
 */
import process from "node:process";
import { CliError } from "../errors.ts";
import type { Env } from "../config/env.ts";

/** The first file descriptor that is passed (sd_listen_fds(3)). */
const FIRST_FD = 3;

/**
 * Returns the file descriptor of the socket; `undefined` if there is none for this process.
 *
 * @param bun Whether the runtime is Bun, which can't use one
 * @throws {CliError} If there is more than one, or the runtime can't use it
 */
export function inheritedSocket(
  { LISTEN_FDS: count, LISTEN_PID: pid }: Env,
  own = process.pid,
  bun = "bun" in process.versions,
): number | undefined {
  if (count === undefined || pid !== String(own)) return undefined;
  if (count !== "1") throw new CliError(`Pass one listening socket: LISTEN_FDS is ${count}`);
  if (bun) {
    throw new CliError("Use Node or Deno, or pass no socket (LISTEN_FDS): Bun can't listen on one");
  }
  return FIRST_FD;
}
