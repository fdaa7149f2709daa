/**
 * What operators see of the accounts of users, and that they disconnect them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  type AccountSource,
  type ActRow,
  createDashboard,
  type ListedAccount,
  operatorTokens,
} from "../../src/dashboard/mod.ts";
import { parseConfig } from "../../src/cli/config/config.ts";
import { callConnected, linkOf, World } from "./world.ts";

const TOKEN = "the token of an operator in the tests";
const PAGE = "http://127.0.0.1:8001";

// What an operator waits for other nodes with keeps no process alive
let alive: ReturnType<typeof setInterval>;
before(() => {
  alive = setInterval(() => {}, 60_000);
});
after(() => clearInterval(alive));

test("[UPA-56, UPA-57] an operator sees all accounts without a token, and disconnects one", async () => {
  const world = new World();
  const { service, clock } = world;
  const acts: ActRow[] = [];
  const { handler, accounts } = world.node();
  await using dashboard = createDashboard(handler, {
    authenticate: operatorTokens({ operators: { grace: TOKEN } }),
    accounts,
    clock,
    onAct: (act) => void acts.push(act),
  });
  let actToken = "";
  const ask = (path: string, token = TOKEN, body?: unknown) =>
    dashboard(
      new Request(`${PAGE}/${path}`, {
        headers: {
          authorization: `Bearer ${token}`,
          "content-type": "application/json",
          "x-mooring-operator": actToken,
        },
        ...body !== undefined && { method: "POST", body: JSON.stringify(body) },
      }),
    );
  try {
    const ada = await world.peer("ada");
    await callConnected(world, ada, "ada", "notes__who");
    const bob = await world.peer("bob");
    await callConnected(world, bob, "bob", "notes__who");
    actToken = (await (await ask("session")).json()).token;
    const text = await (await ask("snapshot")).text();
    for (const secret of service.secrets) assert.ok(!text.includes(secret), secret);
    const { accounts: rows } = await dashboard.snapshot();
    assert.deepEqual(
      rows.map(({ principal, upstream, server, scopes, since, renewedAt, ended }) =>
        [principal, upstream, server, scopes, since, renewedAt, ended].join(" ")
      ).sort(),
      ["ada", "bob"].map((user) =>
        `${user} notes ${service.issuer} read ${clock.now()} ${clock.now()} false`
      ),
    );
    const { account = "" } = rows.find(({ principal }) => principal === "ada") ?? {};
    // Who is no operator does nothing
    const request = { act: "disconnect-account", account } as const;
    assert.equal(
      (await ask("act", "no operator's token, but as long as one", request)).status,
      401,
    );
    assert.deepEqual(acts, []);
    const done = await ask("act", TOKEN, request);
    assert.deepEqual(await done.json(), {
      ok: true,
      count: 1,
      message: "Disconnected ada from notes",
    });
    assert.equal(service.requests.at(-1)?.path, "/revoke");
    assert.equal(world.reasons.at(-1), "disconnect passed revoked");
    // It is gone at once, the other one isn't, and the next call asks
    assert.deepEqual((await dashboard.snapshot()).accounts.map(({ principal }) => principal), [
      "bob",
    ]);
    await linkOf(ada, await ada.call(50, "notes__who"));
    await bob.result(await bob.call(51, "notes__who"));
    const again = await dashboard.act(request, "grace");
    assert.deepEqual(again, {
      ok: false,
      count: 0,
      message: "The account is not connected any more",
    });
    assert.equal((await ask("act", TOKEN, { act: "disconnect-account" })).status, 400);
    assert.deepEqual(
      acts.map(({ act, operator, target, outcome }) => [act, operator, target, outcome]),
      [
        ["disconnect-account", "grace", account, "done"],
        ["disconnect-account", "grace", account, "failed"],
      ],
    );
  } finally {
    await world.close();
  }
});

test("[UPA-58] of many accounts 1,000 are listed, a store that fails hides nothing else, and without the option it says so", async () => {
  const world = new World({ services: [] });
  const { handler } = world.node();
  const { clock } = world;
  let isDown = false;
  let pages = 0;
  const account = (number: number): ListedAccount => ({
    id: `account-${number}`,
    user: { id: `user-${number}\u202e` },
    upstream: "notes",
    issuer: "https://login.example",
    scopes: [],
    since: clock.now(),
    renewed: clock.now(),
    isEnded: true,
  });
  const source: AccountSource = {
    list({ cursor = "0" } = {}) {
      if (isDown) return Promise.reject(new Error("The store is away"));
      pages++;
      const first = Number(cursor);
      const accounts = Array.from({ length: 100 }, (_, index) => account(first + index));
      return Promise.resolve({ accounts, cursor: String(first + 100) });
    },
    disconnect: (id) =>
      id === "account-0"
        ? Promise.reject(new Error("The store is away"))
        : Promise.resolve(id === "account-5000"),
  };
  const errors: unknown[] = [];
  const dashboard = createDashboard(handler, {
    authenticate: () => undefined,
    accounts: source,
    clock,
    onError: (error) => void errors.push(error),
  });
  try {
    const [one, other] = await Promise.all([dashboard.snapshot(), dashboard.snapshot()]);
    assert.deepEqual([one.accounts.length, one.omitted, pages], [1_000, 1, 10]);
    assert.deepEqual(one.accounts, other.accounts);
    // What hides in a name is shown
    assert.doesNotMatch(one.accounts[0]?.principal ?? "", /\u202e/);
    assert.deepEqual([one.accounts[0]?.issuer, one.accounts[0]?.ended], ["", true]);
    const failed = await dashboard.act({ act: "disconnect-account", account: "account-0" }, "ada");
    assert.deepEqual([failed.ok, failed.message], [
      false,
      "The act failed: see the log of this node",
    ]);
    const unlisted = { act: "disconnect-account", account: "account-5000" } as const;
    assert.deepEqual(await dashboard.act(unlisted, "ada"), {
      ok: true,
      count: 1,
      message: "Disconnected the account account-5000",
    });
    const unknown = await dashboard.act({ act: "disconnect-account", account: "x" }, "ada");
    assert.equal(unknown.ok, false);
    isDown = true;
    await clock.advance(5_000);
    const { accounts, nodes } = await dashboard.snapshot();
    assert.deepEqual([accounts.length, nodes.length, errors.length], [0, 1, 2]);
    isDown = false;
    assert.equal((await dashboard.snapshot()).accounts.length, 1_000);
  } finally {
    await dashboard.close();
  }
  const without = createDashboard({}, { authenticate: () => undefined });
  const refused = await without.act({ act: "disconnect-account", account: "x" }, "ada");
  assert.match(refused.message, /"accounts"/);
  await without.close();
  await world.close();
});

test("[UPA-60] a path at which the pages of accounts are is refused by name, where users sign in", () => {
  const parse = (path: string, more: object) =>
    parseConfig({
      file: "mooring.json",
      text: JSON.stringify({
        mcpServers: { notes: { url: "https://notes.example/mcp" } },
        publicUrl: "https://mcp.example",
        path,
        ...more,
      }),
      env: {},
    });
  const signIn = {
    provider: { type: "oidc", issuer: "https://login.example", clientId: "editor" },
    allow: "everybody",
  };
  for (const path of ["/accounts", "/accounts/mcp", "/accounts/connect"]) {
    assert.throws(() => parse(path, { signIn }), /users' accounts are at \/accounts/, path);
    parse(path, {});
  }
  parse("/accountsx", { signIn });
  parse("/mcp/accounts", { signIn });
});
