/**
 * Starts the fixture server on a free port under any runtime.
 *
 * @module
 */
import { once } from "node:events";
import { createServer } from "node:net";
import { type Outcome, start } from "./process.ts";
import { commandOf, ROOT, type Runtime } from "./runtimes.ts";

const READY_MS = 20_000;
const LIFE_MS = 300_000;

/** A running server. */
export interface Fixture {
  /** Its MCP endpoint. */
  readonly url: string;
  /** Settles when its process ends. Before {@linkcode stop}, that is a crash. */
  readonly ended: Promise<Outcome>;
  /** Kills its process. Safe to call twice. */
  stop(): Promise<Outcome>;
}

/**
 * Starts a server and waits until it answers.
 *
 * @param runtime The runtime that runs it
 * @param file The server's module, from the project's root. It takes `--port N` and serves `/mcp`
 * @throws {Error} If it ends, or doesn't answer within 20 s
 */
export async function startFixture(
  runtime: Runtime,
  file = "tests/fixtures/everything.ts",
): Promise<Fixture> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/mcp`;
  const { program, args } = commandOf(runtime);
  const service = start(program, [...args, file, "--port", String(port)], {
    cwd: ROOT,
    limitMs: LIFE_MS,
  });
  const ended = service.ended.then(({ output }) => {
    throw new Error(`Look why the server ended under ${runtime}: ${file}\n${output}`);
  });
  try {
    await Promise.race([answers(url), ended]);
  } catch (error) {
    await service.stop();
    throw error;
  }
  ended.catch(() => {});
  return { url, ended: service.ended, stop: service.stop };
}

/**
 * Sends requests until there is a response, of any status.
 *
 * @throws {Error} If there is none within 20 s
 */
export async function answers(url: string): Promise<void> {
  const deadline = Date.now() + READY_MS;
  while (Date.now() < deadline) {
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
      await response.body?.cancel();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  throw new Error(`Look why the server does not answer within ${READY_MS} ms: ${url}`);
}

/** Returns a port on which nothing listens. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("No free port");
  return address.port;
}
