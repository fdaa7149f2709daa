/**
 * A Redis server and its replica, which change places without losing a write.
 *
 * @module
 */
import { OwnServer } from "../../support/redis.ts";
import { ask } from "../../support/redis_fleet.ts";
import { until } from "./cluster.ts";

/** How long a replica may take until it has everything, and a failover, in milliseconds. */
const READY_MS = 20_000;
/**
 * Each acknowledged write is in the file, where the end of the process can't undo it. Nobody waits for the disk,
 * which other programs use too. A replica doesn't wait before it copies everything.
 */
const ARGS = ["--appendonly", "yes", "--appendfsync", "no", "--repl-diskless-sync-delay", "0"];

/** Two servers. A program that uses them asks again for `primary` after a failover. */
export class RedisPair {
  #primary: OwnServer;
  #replica: OwnServer;

  private constructor(primary: OwnServer, replica: OwnServer) {
    this.#primary = primary;
    this.#replica = replica;
  }

  /** Starts both. */
  static async start(): Promise<RedisPair> {
    const pair = new RedisPair(await OwnServer.start(...ARGS), await OwnServer.start(...ARGS));
    try {
      await ask(pair.#replica, "REPLICAOF", "127.0.0.1", `${pair.#primary.port}`);
      await pair.#replicated();
    } catch (error) {
      await pair.close();
      throw error;
    }
    return pair;
  }

  /** The server that takes writes. */
  get primary(): OwnServer {
    return this.#primary;
  }

  /** Makes the replica the primary, once it has every write, and the primary its replica. */
  async failOver(): Promise<void> {
    await this.#replicated();
    await ask(this.#primary, "FAILOVER", "TIMEOUT", `${READY_MS}`);
    await until(() => says(this.#replica, "replication", "role:master"), "a failover", READY_MS);
    [this.#primary, this.#replica] = [this.#replica, this.#primary];
  }

  /** Ends both. */
  async close(): Promise<void> {
    await Promise.all([this.#primary.close(), this.#replica.close()]);
  }

  /** Waits until the replica has copied everything, and written it to the disk. */
  async #replicated(): Promise<void> {
    const copied = async () =>
      await says(this.#replica, "replication", "master_link_status:up") &&
      await says(this.#replica, "persistence", "aof_enabled:1") &&
      await says(this.#replica, "persistence", "aof_rewrite_in_progress:0") &&
      await says(this.#replica, "persistence", "aof_rewrite_scheduled:0");
    await until(copied, "the replica", READY_MS);
  }
}

async function says(server: OwnServer, section: string, line: string): Promise<boolean> {
  return String(await ask(server, "INFO", section)).split("\r\n").includes(line);
}
