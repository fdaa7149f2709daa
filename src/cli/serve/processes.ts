/**
 * Runs `mooring serve --processes`: one process for each node, and the Redis that they share.
 *
 * @module
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { listenError, onStopSignals, randomText, systemClock } from "../../kit.ts";
import { freePort, ProcessGroup, processStarter } from "../../kit_node.ts";
import type { JsonObject } from "../../../mod.ts";
import { processCount } from "../config/process_count.ts";
import type { Config } from "../config/schema.ts";
import type { CommandSettings } from "../config/settings.ts";
import { CliError, ExitCode, messageOf } from "../errors.ts";
import type { Io } from "../io.ts";
import type { Log } from "../log.ts";
import type { NodeData } from "./node_process.ts";
import { type RunningRedis, startOwnRedis } from "./own_redis.ts";

/** The time that the processes have after their own to end, in milliseconds. */
const KILL_MS = 20_000;
/** The characters of a secret that lasts as long as the command. */
const SECRET_CHARS = 43;

/** What the command was started with. */
export interface ProcessesInit {
  /** The configuration file, which the processes read again at SIGHUP. */
  readonly file: string | undefined;
  /** The listening socket that a service manager has passed, if any. */
  readonly socket: number | undefined;
}

/**
 * Starts the processes, and waits until a signal stops them, or they can't go on.
 *
 * @throws {CliError} If they can't start
 */
export async function serveWithProcesses(
  { config, host, port: wanted, graceMs }: CommandSettings,
  { file, socket }: ProcessesInit,
  io: Io,
  log: Log,
): Promise<ExitCode> {
  if (socket !== undefined) {
    throw new CliError(
      "Pass no listening socket (LISTEN_FDS) with --processes: they listen themselves",
    );
  }
  const count = processCount(config);
  const port = await freePort(host, wanted).catch((cause: unknown) => {
    const names = { port: "--port", hostname: "--host" };
    const { message } = listenError(cause, { hostname: host, port: wanted }, names);
    throw new CliError(message, undefined, { cause });
  });
  const redis = config.redis === undefined
    ? await startOwnRedis({ env: io.env, log, clock: systemClock, folder: folderOf(config) })
    : undefined;
  try {
    const data: NodeData & JsonObject = {
      secret: await secretOf(redis),
      ...redis !== undefined && {
        redis: { path: redis.path, folder: redis.folder, isKept: redis.isKept },
      },
    };
    const start = starterOf(count, port, data);
    const group = new ProcessGroup({
      count,
      start(index, listener) {
        const started = start(index, listener);
        log("info", "process-started", { process: index, pid: started.pid });
        return started;
      },
      clock: systemClock,
      died(index, how, delayMs) {
        const message = `Process ${index} died (${how}): starting it again`;
        log("error", "process-died", { message, process: index, delayMs });
      },
    });
    // Without anything to read again or to open anew, the signal ends the command
    const reopens = file !== undefined || config.audit !== undefined;
    const forget = reopens && io.onSignal(["SIGHUP"], () => group.signal("SIGHUP"));
    const code = await serveUntilStopped(group, count, graceMs, io, log);
    if (forget) forget();
    return code;
  } finally {
    await redis?.stop();
  }
}

/** Returns the folder in which Redis keeps its data; `undefined` to keep none. */
function folderOf({ data }: Config): string | undefined {
  return data === undefined || data === "none" ? undefined : join(data, "redis");
}

/** Returns the secret of the processes: that of the folder, or one that ends with the command. */
async function secretOf(redis: RunningRedis | undefined): Promise<string> {
  const secret = randomText(SECRET_CHARS);
  if (redis?.isKept !== true) return secret;
  const file = join(redis.folder, "secret");
  try {
    await writeFile(file, secret, { flag: "wx", mode: 0o600 });
    return secret;
  } catch {
    return await readFile(file, "utf8");
  }
}

function starterOf(count: number, port: number, data: JsonObject) {
  try {
    return processStarter({ count, port, data });
  } catch (error) {
    throw new CliError(messageOf(error), undefined, { cause: error });
  }
}

async function serveUntilStopped(
  group: ProcessGroup,
  count: number,
  graceMs: number,
  io: Io,
  log: Log,
): Promise<ExitCode> {
  let isStopping = false;
  const forget = onStopSignals({
    listen: (listener) => io.onSignal(["SIGINT", "SIGTERM"], listener),
    clock: systemClock,
    stop() {
      isStopping = true;
      void group.stop(graceMs + KILL_MS);
    },
    force: () => group.signal("SIGTERM"),
  });
  try {
    await group.start();
    log("info", "processes", { message: `${count} processes serve`, processes: count });
  } catch (error) {
    const message = `Stopped, since not every process could start: ${messageOf(error)}`;
    if (!isStopping) throw new CliError(message);
  }
  const failures = await group.finished;
  forget();
  for (const message of failures) log("error", "process-failed", { message });
  return failures.length === 0 ? ExitCode.Ok : ExitCode.Failed;
}
