/**
 * The fixture server, started on a free port under any runtime.
 *
 * @module
 */
import { once } from "node:events";
import { createServer } from "node:net";
import { type Outcome, start } from "./process.ts";
import { commandOf, ROOT, type Runtime } from "./runtimes.ts";

const READY_MS = 20_000;
const LIFE_MS = 300_000;

/** A server that runs. */
export interface Fixture {
  /** Its MCP endpoint. */
  readonly url: string;
  /** Settles when its process ends: before {@linkcode stop} that is a crash. */
  readonly ended: Promise<Outcome>;
  /** Ends it. Safe to call twice. */
  stop(): Promise<Outcome>;
}

/**
 * Starts a server and waits until it answers.
 *
 * @param runtime Under what it runs
 * @param file The server's module, from the project's root. It takes `--port N` and serves `/mcp`
 * @throws {Error} If it ends, or doesn't answer in time
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
    throw new Error(`${file} ended under ${runtime} instead of serving:\n${output}`);
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

/** Asks until there is an answer, whatever it says. */
async function answers(url: string): Promise<void> {
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
  throw new Error(`No answer from ${url} within ${READY_MS} ms`);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("No free port");
  return address.port;
}
