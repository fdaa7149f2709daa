/**
 * Runs the Durable Objects of a Worker in this process.
 *
 * @module
 */
import type { DurableNamespace, McpWorker } from "../../src/adapters/workers.ts";
import { memorySql } from "./sqlite.ts";

/** The objects of a Worker in this process, with what they have stored. */
export class Objects implements DurableNamespace {
  readonly log: string[] = [];
  readonly alarms = new Map<string, () => Promise<void>>();
  readonly #worker: Pick<McpWorker, "McpSession">;
  readonly #objects = new Map<string, { fetch(request: Request): Promise<Response> }>();
  readonly #sqls: { close(): void }[] = [];

  constructor(worker: Pick<McpWorker, "McpSession">) {
    this.#worker = worker;
  }

  get env() {
    return { MCP_SESSION: this };
  }

  idFromName(name: string) {
    return { toString: () => name };
  }

  get(id: { toString(): string }) {
    const name = id.toString();
    let object = this.#objects.get(name);
    if (object === undefined) {
      const sql = memorySql();
      this.#sqls.push(sql);
      const made = new this.#worker.McpSession({
        storage: {
          sql,
          setAlarm: async () => void this.alarms.set(name, () => made.alarm()),
          deleteAlarm: async () => void this.alarms.delete(name),
          deleteAll: async () => {
            this.log.push("deleteAll");
            const tables = sql.exec("SELECT name FROM sqlite_master WHERE type = 'table'");
            for (const { name } of tables.toArray()) sql.exec(`DROP TABLE ${name}`);
          },
        },
      }, this.env);
      this.#objects.set(name, object = made);
    }
    return object;
  }

  get size(): number {
    return this.#objects.size;
  }

  close(): void {
    for (const sql of this.#sqls) sql.close();
  }
}
