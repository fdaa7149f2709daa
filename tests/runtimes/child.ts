/**
 * A server in a process of its own: writes its port, then the name of each tool that is called. Takes
 * `{ graceMs, closeAfterMs, leave }` as JSON.
 *
 * @module
 */
import process from "node:process";
import { createMcpHandler } from "../../src/handler/handler.ts";
import { serve } from "./runtime.ts";
import { testTools } from "./tools.ts";

/** What a child is told. */
export interface ChildOptions {
  readonly graceMs?: number;
  /** Closes by itself, without a signal. */
  readonly closeAfterMs?: number;
  /** Makes a handler that has something to wait for, drops it and serves nothing. */
  readonly drop?: boolean;
}

const { graceMs, closeAfterMs, drop }: ChildOptions = JSON.parse(process.argv[2] ?? "{}");

function write(line: string): void {
  process.stdout.write(`${line}\n`);
}

if (drop) {
  const handler = createMcpHandler(testTools());
  await handler.sessions.open();
  write("dropped");
} else {
  const server = await serve(testTools(write), { port: 0, sessions: false, graceMs });
  write(`port ${server.port}`);
  server.finished.then(() => write("finished"));
  if (closeAfterMs !== undefined) setTimeout(() => server.close(), closeAfterMs);
}
