/**
 * Tells what one process of `mooring serve --processes` does otherwise than a command with one process.
 *
 * @module
 */
import { rmSync } from "node:fs";
import { extname } from "node:path";
import process from "node:process";
import { isObject } from "../../kit.ts";
import { type GroupMember, onGroupGone } from "../../kit_node.ts";
import type { Config } from "../config/schema.ts";
import type { CommandSettings } from "../config/settings.ts";
import { ExitCode } from "../errors.ts";
import type { Log } from "../log.ts";
import { endOwnRedis } from "./own_redis.ts";
import type { OwnRedis } from "./stores.ts";

/**
 * Whether processes share a port by the system's own means. On Node and Bun the one that starts them listens
 * for all.
 */
export const SHARES_PORTS = "Deno" in globalThis;

/** What the processes of one command are told beside their numbers. */
export interface NodeData {
  /** The secret that they sign with, unless the configuration has one. */
  readonly secret: string;
  /** The Redis that was started for them. */
  readonly redis?: (OwnRedis & { readonly folder: string; readonly isKept: boolean }) | undefined;
}

/** Returns what a process was told. */
export function nodeData({ data: { secret, redis } }: GroupMember): NodeData {
  // The command has written it, for processes that it has started.
  const { path, folder, isKept } = isObject(redis) ? redis : {};
  return {
    secret: String(secret),
    ...typeof path === "string" && typeof folder === "string" && {
      redis: { path, folder, isKept: isKept === true },
    },
  };
}

/** Whether a process does what only one of several may: it is the first, or the only one. */
export function isFirst(member: GroupMember | undefined): boolean {
  return member === undefined || member.index === 1;
}

/** The characters of a node's name that are left for the name of the machine. */
const MOST_NAME = 95;

/** Returns the settings of one of several processes, which has a name of its own. */
export function ofMember(
  settings: CommandSettings,
  member: GroupMember | undefined,
): CommandSettings {
  if (member === undefined) return settings;
  return { ...settings, node: `${settings.node.slice(-MOST_NAME)}/${member.index}` };
}

/** Returns the configuration of one of several processes: its own files and addresses, and the secret. */
export function configOf(config: Config, member: GroupMember): Config {
  const { index } = member;
  const { audit, metrics, secret = nodeData(member).secret } = config;
  const ownFile = (file: string) => {
    const extension = extname(file);
    return index === 1
      ? file
      : `${file.slice(0, file.length - extension.length)}-${index}${extension}`;
  };
  return {
    ...config,
    secret,
    port: member.port,
    ...audit !== undefined && {
      audit: typeof audit === "string" ? ownFile(audit) : { ...audit, file: ownFile(audit.file) },
    },
    ...metrics !== undefined && metrics.port !== 0 && {
      metrics: { ...metrics, port: metrics.port + index - 1 },
    },
  };
}

/** Returns a log whose lines name the node. */
export function namedLog(log: Log, node: string): Log {
  return (level, event, fields) => log(level, event, { node, ...fields });
}

/** Ends this process, and the command's Redis, when the command was killed: nothing of it stays behind. */
export function endWithCommand(member: GroupMember): void {
  const { redis } = nodeData(member);
  onGroupGone(() => {
    if (redis !== undefined) {
      endOwnRedis(redis.folder);
      if (!redis.isKept) rmSync(redis.folder, { recursive: true, force: true });
    }
    process.exit(ExitCode.Failed);
  });
}
