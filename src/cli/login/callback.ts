/**
 * Waits for the browser to come back from a login, on this machine alone (RFC 8252, 7.3).
 *
 * @module
 */
import { createServer, type ServerResponse } from "node:http";
import { CliError } from "../errors.ts";
import { sameText } from "../../kit.ts";

const PATH = "/callback";
const HEADERS = {
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'",
  "referrer-policy": "no-referrer",
};

/** Waits for one answer. */
export interface Callback {
  /** Where the browser is to come back to. */
  readonly url: string;
  /**
   * Resolves with the answer that has the state. Others are refused, and change nothing.
   *
   * @throws {CliError} If none comes in time
   */
  answer(state: string): Promise<URLSearchParams>;
  close(): void;
}

/**
 * Listens on a free port of this machine.
 *
 * @param patienceMs How long to wait for the answer, in milliseconds
 */
export async function awaitCallback(patienceMs: number): Promise<Callback> {
  const { promise, resolve, reject } = Promise.withResolvers<URLSearchParams>();
  // Nobody may wait for it yet
  promise.catch(() => {});
  let expected: string | undefined;
  const server = createServer((request, response) => {
    const url = URL.parse(request.url ?? "", "http://127.0.0.1");
    if (url?.pathname !== PATH || request.method !== "GET") return say(response, 404, "Not found");
    const { searchParams } = url;
    if (expected === undefined || !sameText(searchParams.get("state") ?? "", expected)) {
      return say(response, 400, "This answer is not for the login that is waiting");
    }
    say(response, 200, "Close this page, and go back to the terminal");
    resolve(searchParams);
  });
  await new Promise<void>((listening, failed) => {
    server.once("error", failed);
    server.listen(0, "127.0.0.1", listening);
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const late = setTimeout(() => {
    reject(new CliError("Sign in again: the browser didn't come back in time"));
  }, patienceMs);
  return {
    url: `http://127.0.0.1:${port}${PATH}`,
    answer(state) {
      expected = state;
      return promise;
    },
    close() {
      clearTimeout(late);
      server.close();
      server.closeAllConnections();
    },
  };
}

function say(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, HEADERS).end(
    `<!doctype html><html lang="en"><title>mooring</title><p>${text}.</p></html>\n`,
  );
}
