/**
 * Keeps what handlers share in a SQLite file: sessions, streams and tasks outlive a restart of the process.
 *
 * @example
 * ```ts
 * import { createMcpHandler, McpServer } from "@mooring/mcp";
 * import { sqliteStore } from "@mooring/mcp/sqlite";
 *
 * using store = sqliteStore({ path: ":memory:" }); // such as "./mcp.sqlite"
 * await using handler = createMcpHandler(new McpServer({ name: "demo", version: "1.0.0" }), { store });
 * ```
 *
 * @module
 */
export { type SqliteProblem, SqliteStoreError } from "./file.ts";
export { type SqliteStore, sqliteStore, type SqliteStoreOptions } from "./sqlite_store.ts";
