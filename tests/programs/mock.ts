/**
 * Mocks of APIs, made from their OpenAPI documents by Steady (npm: `@stdy/cli`), another's program: it
 * checks each request against the document, and answers with what the document describes.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";

const FOLDER = fileURLToPath(new URL("../../tools/programs/node_modules/", import.meta.url));
const MOST_TRIES = 1200;

/** A mock that runs. */
export interface Mock {
  readonly url: string;
  stop(): Promise<void>;
}

/** Returns the path of a file in a package of `tools/programs/`. */
export function published(file: string): string {
  return FOLDER + file;
}

/** Returns a port that nothing listens at. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (typeof address !== "object" || address === null) throw new Error("No port");
  return address.port;
}

/** Starts a mock of a document, and waits until it answers. */
export async function mockOf(file: string, ...flags: readonly string[]): Promise<Mock> {
  const port = await freePort();
  const child: ChildProcess = spawn(
    published("@stdy/cli-linux-x64/bin/steady"),
    ["--no-color", "--log=false", "--reject-on-sdk-error", "-p", String(port), ...flags, file],
    { stdio: "ignore" },
  );
  let hasExited = false;
  const exited = new Promise<void>((resolve) =>
    child.once("exit", () => {
      hasExited = true;
      resolve();
    })
  );
  const stop = async () => {
    child.kill("SIGKILL");
    await exited;
  };
  const url = `http://127.0.0.1:${port}`;
  for (let tries = 0; tries < MOST_TRIES && !hasExited; tries++) {
    const isUp = await fetch(`${url}/_x-steady/health`)
      .then((found) => found.body?.cancel()).then(() => true, () => false);
    if (isUp) return { url, stop };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await stop();
  throw new Error(`The mock of ${file} doesn't answer`);
}
