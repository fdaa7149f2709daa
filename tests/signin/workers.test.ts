/**
 * Whole logins at a Worker in workerd, the runtime of Cloudflare Workers, with the records in a Durable Object.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, test } from "node:test";
import { createMcpHandler, McpServer } from "../../mod.ts";
import { systemClock } from "../../src/internal/clock.ts";
import { recordsIn } from "../../src/adapters/workers.ts";
import { bundle, type RunningWorker, startWorker, WORKERD } from "../../tools/workerd.ts";
import { Browser, startAuthorizationServer } from "../auth/authorization_server.ts";
import { KeyHolder } from "../support/key_holder.ts";
import {
  authorizePath,
  callRequest,
  ISSUER,
  REDIRECT,
  RESOURCE,
  type Tokens,
  VERIFIER,
} from "./front.ts";
import { walk, wholeAnswer } from "./walk.ts";

const skip = existsSync(WORKERD) ? false : "No workerd for this machine: run `deno task test` once";

/** Sends a request of the issuer's address to the Worker. */
async function send(worker: RunningWorker, request: Request): Promise<Response> {
  const { pathname, search } = new URL(request.url);
  const { method, headers } = request;
  const body = method === "POST" ? await request.text() : undefined;
  return await fetch(`${worker.origin}${pathname}${search}`, {
    ...{ method, headers, redirect: "manual" },
    ...body !== undefined && { body },
  });
}

/** Sends a token request. */
async function tokens(
  worker: RunningWorker,
  fields: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>> = {},
): Promise<Tokens & { readonly status: number }> {
  const response = await fetch(`${worker.origin}/token`, {
    ...{ method: "POST", headers },
    body: new URLSearchParams({ client_id: "editor", ...fields }),
  });
  return { status: response.status, ...await response.json() };
}

const refreshed = (worker: RunningWorker, token: string) =>
  tokens(worker, { grant_type: "refresh_token", refresh_token: token });

async function calls(worker: RunningWorker, token: string): Promise<void> {
  const response = await send(worker, callRequest(token));
  assert.match(await response.text(), /"ada"/);
}

describe("a Worker", () => {
  test(
    "[FRONT-39, DPOP-11] signs a user in, refreshes, and goes on in another process; a code has one winner",
    {
      skip,
    },
    async () => {
      const provider = await startAuthorizationServer({
        scope: "",
        format: "opaque",
        ttlS: 60,
        redirectUris: [`${ISSUER}/signin/callback`],
      });
      const worker = await startWorker(await bundle("tests/fixtures/workers/signin.ts"), {
        vars: { PROVIDER: provider.issuer, KEY: "the secret of the Worker in the tests" },
        sessions: "McpRecords",
      });
      const user = new Browser();
      const code = async () => {
        const back = await walk(new URL(await authorizePath(), ISSUER), {
          send: async (request) => await wholeAnswer(await send(worker, request)),
          provider: (url) => user.visit(url, `${ISSUER}/signin/callback`),
          isBack: (url) => url.href.startsWith(REDIRECT),
        });
        return back.searchParams.get("code") ?? assert.fail(back.href);
      };
      const redeemed = (text: string, headers = {}) =>
        tokens(worker, {
          ...{ grant_type: "authorization_code", code: text, redirect_uri: REDIRECT },
          code_verifier: VERIFIER,
        }, headers);
      try {
        const first = await redeemed(await code());
        assert.equal(first.status, 200, worker.output());
        await calls(worker, first.access_token);
        const second = await refreshed(worker, first.refresh_token);
        assert.notEqual(second.refresh_token, first.refresh_token);
        const windows = await Promise.all(
          [1, 2, 3, 4].map(() => refreshed(worker, second.refresh_token)),
        );
        assert.deepEqual(windows.map(({ status }) => status), [200, 200, 200, 200]);
        assert.equal(new Set(windows.map(({ refresh_token }) => refresh_token)).size, 1);
        await worker.restart();
        const third = await refreshed(worker, windows[0]?.refresh_token ?? "");
        assert.equal(third.status, 200, worker.output());
        await calls(worker, third.access_token);
        // The consent is there, too: nobody is asked.
        const again = await code();
        const all = await Promise.all([1, 2, 3, 4, 5, 6].map(() => redeemed(again)));
        assert.ok(all.filter(({ status }) => status === 200).length <= 1);
        // With a key of the client
        const holder = await KeyHolder.make(`${ISSUER}/token`);
        const proof = { dpop: await holder.proof(undefined, systemClock) };
        const bound = await redeemed(await code(), proof);
        assert.equal(bound.token_type, "DPoP", worker.output());
        const token = bound.access_token;
        const own = await holder.proof(token, systemClock, { htu: RESOURCE });
        const call = () => send(worker, callRequest(token, "who", own));
        assert.match(await (await call()).text(), /"ada"/);
        await worker.restart();
        assert.equal((await call()).status, 401);
        assert.equal((await send(worker, callRequest(token))).status, 401);
        assert.equal((await refreshed(worker, bound.refresh_token)).status, 400);
        const unknown = await fetch(`${worker.origin}/authorize?client_id=https://127.0.0.1/c`);
        assert.equal(unknown.status, 400);
        await unknown.body?.cancel();
      } finally {
        await worker.stop();
        await provider.close();
      }
    },
  );

  test("[FRONT-39] its records are no store of a handler, and need their binding", () => {
    assert.throws(() => recordsIn(undefined as never), /Bind the Durable Object of the class/);
    const store = recordsIn({ idFromName: String, get: () => assert.fail() });
    const server = new McpServer({ name: "notes", version: "1.0.0" });
    const keys = ["the secret of the Worker in the tests"];
    assert.throws(
      () => createMcpHandler(server, { store, requests: { stateKeys: keys } }),
      /recordsIn\(\) has records alone/,
    );
  });
});
