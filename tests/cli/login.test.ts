/**
 * `mooring login`, `mooring logout`, and what `call` and `inspect` do with a login.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, beforeEach, describe, test } from "node:test";
import { Credentials, type StoredLogin } from "../../src/cli/login/credentials.ts";
import { Browser } from "../auth/authorization_server.ts";
import { answered } from "../signin/official_clients.ts";
import { servingSignIn } from "../signin/serving_sign_in.ts";
import { runHere } from "./fake_io.ts";

const made: string[] = [];
after(async () => {
  for (const folder of made) await rm(folder, { recursive: true, force: true });
});

let state = "";
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "login-"));
  made.push(state);
});

const file = () => join(state, "mooring", "logins.json");

/** Where the browser is to come back to. */
function backOf(url: URL): string {
  return url.searchParams.get("redirect_uri") ?? assert.fail(url.href);
}

/** A user who logs in, allows everything, and comes back. */
async function agree(url: URL): Promise<void> {
  const back = await answered(url, new Browser(), backOf(url));
  const page = await fetch(back);
  assert.equal(page.status, 200);
  assert.match(await page.text(), /Close this page/);
}

/** Runs the command for a user with a browser. */
async function run(args: readonly string[], user: (url: URL) => Promise<void> = agree) {
  const visits: Promise<void>[] = [];
  const env = { XDG_STATE_HOME: state, CLIENT_SECRET: "s3cret-of-the-client" };
  const result = await runHere(args, env, undefined, {
    openUrl: (url) => void visits.push(user(url)),
  });
  await Promise.all(visits);
  return { ...result, visits: visits.length };
}

async function kept(): Promise<Record<string, StoredLogin>> {
  return JSON.parse(await readFile(file(), "utf8")).logins;
}

/** Changes what is kept of every login. */
async function change(edit: (login: StoredLogin) => StoredLogin): Promise<void> {
  const logins = Object.entries(await kept()).map(([key, login]) => [key, edit(login)]);
  await writeFile(file(), JSON.stringify({ version: 1, logins: Object.fromEntries(logins) }));
}

describe("mooring login", () => {
  test("[CMD-28, CMD-29] signs in once, calls with the tokens, renews them, and forgets them", () =>
    servingSignIn(async ({ origin }) => {
      const url = `${origin}/servers/one`;
      const before = await run(["call", url, "count"]);
      assert.equal(before.code, 1);
      assert.match(before.err, /or sign in with mooring login/);

      const login = await run(["login", `${url}?secret=s3cret`]);
      assert.deepEqual(
        [login.code, login.out, login.visits],
        [0, `Signed in: ${url}\n`, 1],
        login.err,
      );
      assert.match(login.err, /^Sign in here: http:\/\/127\.0\.0\.1:\d+\/\S+\n$/);
      const asked = new URL(/here: (\S+)/.exec(login.err)?.[1] ?? "");
      assert.equal(asked.searchParams.get("code_challenge_method"), "S256");
      assert.equal(asked.searchParams.get("resource"), url);

      if (process.platform !== "win32") assert.equal((await stat(file())).mode & 0o777, 0o600);
      const { [url]: first } = await kept();
      assert.ok(first?.tokens.refresh_token !== undefined && first.expiresAt !== undefined);
      assert.doesNotMatch(await readFile(file(), "utf8"), /s3cret/);
      assert.ok(!(login.out + login.err).includes(first.tokens.access_token));

      const called = await run(["call", url, "count"]);
      assert.deepEqual([called.code, called.out, called.visits], [0, "1\n", 0], called.err);
      const inspected = await run(["inspect", url]);
      assert.equal(inspected.code, 0, inspected.err);
      const examined = await run(["doctor", url]);
      // The way of somebody who isn't signed in yet is tried, too
      for (const step of ["tools", "challenge", "resource metadata", "registration"]) {
        assert.match(examined.out, new RegExp(`^ok {6}${step} `, "m"), examined.out);
      }
      // The login is for this URL alone
      assert.equal((await run(["call", `${origin}/mcp`, "one__count"])).code, 1);

      // Two processes at a time use a refresh token once
      await change((login) => ({ ...login, expiresAt: 0 }));
      const both = await Promise.all([run(["call", url, "count"]), run(["call", url, "count"])]);
      for (const { code, err } of both) assert.equal(code, 0, err);
      const { [url]: second } = await kept();
      assert.notEqual(second?.tokens.access_token, first.tokens.access_token);
      assert.deepEqual(await readdir(join(state, "mooring")), ["logins.json"]);

      const out = await run(["logout", url]);
      assert.deepEqual([out.code, out.out], [0, `Signed out: ${url}\n`], out.err);
      assert.deepEqual(await kept(), {});
      assert.equal((await run(["call", url, "count"])).code, 1);
      const again = await run(["logout", url]);
      assert.deepEqual([again.code, again.err], [1, `There is no login to forget: ${url}\n`]);
      // The server was told: the refresh token is gone
      await writeFile(
        file(),
        JSON.stringify({ version: 1, logins: { [url]: { ...second, expiresAt: 0 } } }),
      );
      const ended = await run(["call", url, "count"]);
      assert.deepEqual([ended.code, ended.err], [1, `Sign in again: mooring login ${url}\n`]);
    }));

  test("[CMD-28] an answer of another login changes nothing, and a refusal is shown", () =>
    servingSignIn(async ({ origin }) => {
      const url = `${origin}/mcp`;
      const statuses: number[] = [];
      const refused = await run(["login", url], async (asked) => {
        const back = backOf(asked);
        const state = asked.searchParams.get("state") ?? "";
        for (
          const answer of [
            `${back}?code=stolen&state=guess`,
            `${back}?code=stolen`,
            new URL("/other", back).href,
          ]
        ) {
          const response = await fetch(answer);
          statuses.push(response.status);
          await response.body?.cancel();
        }
        const query = new URLSearchParams({
          state,
          error: "access_denied",
          error_description: "No\u001b[2J",
        });
        await (await fetch(`${back}?${query}`)).body?.cancel();
      });
      assert.deepEqual(statuses, [400, 400, 404]);
      assert.equal(refused.code, 1);
      assert.match(refused.err, /\nThe login was refused: No\\u001b\[2J\n$/);

      const mixed = await run(["login", url], async (asked) => {
        const back = new URL(await answered(asked, new Browser(), backOf(asked)));
        back.searchParams.set("iss", "https://evil.example");
        await (await fetch(back)).body?.cancel();
      });
      assert.equal(mixed.code, 1);
      assert.match(mixed.err, /The login failed: /);
      const late = await run(["login", url, "--timeout", "1", "--no-browser"]);
      assert.deepEqual([late.code, late.visits], [1, 0]);
      assert.match(late.err, /Sign in again: the browser didn't come back in time\n$/);
      await assert.rejects(stat(file()));
    }));

  test("[CMD-28] a command line that can't be understood is refused with what to change", async () => {
    const cases: readonly (readonly [readonly string[], RegExp])[] = [
      [["login"], /^Give what to login: mooring login URL\n$/],
      [["login", "notes"], /^Give the URL of a server/],
      [["login", "http://mcp.example/mcp"], /^Give a URL that begins with "https:\/\/": others/],
      [["login", "http://127.0.0.1:1/mcp"], /^Start the server, or correct the URL/],
      [["logout", "notes"], /^Give the URL of a server/],
    ];
    for (const [args, message] of cases) assert.match((await run(args)).err, message);
  });

  test("[CMD-28] a server that wants no token needs no login", async () => {
    const server = createServer((_request, response) => void response.end("{}"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    try {
      const url = `http://127.0.0.1:${port}/mcp`;
      const { code, out } = await run(["login", url]);
      assert.deepEqual([code, out], [0, `No login is needed: ${url}\n`]);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});

describe("Credentials", () => {
  const url = new URL("https://mcp.example/mcp");
  const login = (token: string): StoredLogin => ({
    client: { client_id: "a" },
    issuer: { authorizationServerUrl: "https://login.example" },
    tokens: { access_token: token, token_type: "Bearer" },
  });
  const credentials = () => new Credentials({ XDG_STATE_HOME: state });

  test("[CMD-29] updates run one at a time, and a lock that was left is removed", async () => {
    let inside = 0;
    const seen: string[] = [];
    const update = (token: string) =>
      credentials().update(url, async (before) => {
        assert.equal(++inside, 1);
        seen.push(before?.tokens.access_token ?? "none");
        await new Promise((resolve) => setTimeout(resolve, 1));
        inside--;
        return login(token);
      });
    await Promise.all(["a", "b", "c", "d"].map(update));
    assert.equal(seen.length, 4);
    assert.equal(seen[0], "none");
    assert.equal(new Set(seen).size, 4);
    const lock = `${file()}.lock`;
    await writeFile(lock, "");
    await assert.rejects(
      new Credentials({ XDG_STATE_HOME: state }, 0).update(url, () => Promise.resolve(login("f"))),
      { message: `Wait for the other mooring that signs in, or remove its lock: ${lock}` },
    );
    await utimes(lock, 0, 0);
    await update("e");
    assert.equal((await credentials().get(url))?.tokens.access_token, "e");
    await assert.rejects(stat(lock));
  });

  test("[CMD-29] keeps 200 logins, the last ones; a broken file is named, and stays as it is", async () => {
    await credentials().update(url, () => Promise.resolve(login("first")));
    const logins = Object.fromEntries(
      Array.from({ length: 200 }, (_, at) => [`https://${at}.example/mcp`, login("x")]),
    );
    await writeFile(file(), JSON.stringify({ version: 1, logins }));
    await credentials().update(url, () => Promise.resolve(login("last")));
    const keys = Object.keys(await kept());
    assert.equal(keys.length, 200);
    assert.equal(keys.at(-1), url.href);
    assert.ok(!keys.includes("https://0.example/mcp"));
    await writeFile(file(), '{"logins": s3cret');
    const broken = await run(["call", url.href, "a"]);
    assert.equal(broken.code, 1);
    assert.equal(broken.err, `Remove this file, and sign in again: it is broken: ${file()}\n`);
    assert.equal(await readFile(file(), "utf8"), '{"logins": s3cret');
  });
});
