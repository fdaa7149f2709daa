/**
 * The attack table: links, states and answers in wrong hands, and servers that misbehave.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createMcpHandler } from "../../mod.ts";
import { questionsOf, stateOf } from "../support/modern.ts";
import { as, byToken, initialize, textOf } from "../support/wire.ts";
import { callConnected, type Faults, linkOf, World, type WorldOptions } from "./world.ts";

async function withWorld(
  act: (world: World) => Promise<void>,
  options: WorldOptions = {},
): Promise<void> {
  const world = new World(options);
  try {
    await act(world);
  } finally {
    await world.close();
  }
}

/** Waits until the questions of all sessions that have ended are gone. */
async function ended(world: World): Promise<void> {
  const records = world.store.records?.(world.clock);
  assert.ok(records);
  for (;;) {
    const { keys } = await records.list("");
    if (!keys.some((key) => key.includes(":ask:"))) return;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** The link that a user's call asks for. */
async function askedLink(world: World, user: string, tool = "notes__who", node = 0) {
  const peer = await world.peer(user, node);
  const { url } = await linkOf(peer, await peer.call(1, tool));
  return { peer, url };
}

describe("links in wrong hands", () => {
  test("[UPA-11, UPA-12] another user's browser gets the page of an unknown link", async () => {
    await withWorld(async (world) => {
      const { url } = await askedLink(world, "ada");
      const eve = world.browser("eve");
      const own = await eve.send(url);
      const unknown = await eve.send(url.slice(0, -4) + "AAAA");
      assert.equal(own.status, 400);
      assert.equal(unknown.status, 400);
      const strip = (text: string) => text.replace(/nonce="[^"]*"/g, "");
      assert.equal(strip(await own.text()), strip(await unknown.text()));
      assert.deepEqual(world.service.logins, 0);
      const refused = world.events.filter(({ outcome }) => outcome === "refused");
      assert.deepEqual(refused.map(({ reason }) => reason), ["another-user", "unknown-or-late"]);
      assert.equal(refused[0]?.user, "ada");
      assert.equal(refused[0]?.browserUser, "eve");
      assert.equal(refused[0]?.upstream, "notes");
    });
  });

  test("[UPA-11] the page has no script, and a strict policy", async () => {
    await withWorld(async (world) => {
      const { url } = await askedLink(world, "ada");
      const page = await world.browser("ada").send(url);
      const policy = page.headers.get("content-security-policy") ?? "";
      assert.match(policy, /default-src 'none'/);
      assert.match(policy, /frame-ancestors 'none'/);
      assert.doesNotMatch(policy, /script-src|unsafe/);
      assert.doesNotMatch(await page.text(), /<script|\son\w+=/i);
      // A browser of nobody learns nothing
      const nobody = await world.node().accounts.routes(new Request(url));
      assert.equal(nobody?.status, 401);
      assert.doesNotMatch(await nobody?.text() ?? "", /notes/);
    });
  });

  test("[UPA-12] another user posts the form of the page", async () => {
    await withWorld(async (world) => {
      const { url } = await askedLink(world, "ada");
      const html = await (await world.browser("ada").send(url)).text();
      const sent = await world.browser("eve").submit(html);
      assert.equal(sent.status, 400);
      assert.equal(world.reasons.at(-1), "start refused another-user");
    });
  });

  test("[UPA-12, UPA-16] another user brings the answer, with and without the browser's secret", async () => {
    await withWorld(async (world) => {
      const { url } = await askedLink(world, "ada");
      const ada = world.browser("ada");
      const back = world.service.authorize(await ada.begin(url), "ada");
      const eve = world.browser("eve");
      assert.equal((await eve.send(back)).status, 400);
      assert.equal(world.reasons.at(-1), "connect refused another-browser");
      for (const [name, value] of ada.cookies) eve.cookies.set(name, value);
      assert.equal((await eve.send(back)).status, 400);
      assert.equal(world.reasons.at(-1), "connect refused another-user");
      assert.deepEqual((await world.node().accounts.list()).accounts, []);
      // It was not used up by that
      assert.equal((await ada.send(back)).status, 200);
    });
  });

  test("[UPA-16] an attacker's answer in the victim's browser connects nothing", async () => {
    await withWorld(async (world) => {
      const mallory = await askedLink(world, "mallory");
      const victim = await askedLink(world, "ada");
      const browser = world.browser("mallory");
      const back = world.service.authorize(await browser.begin(mallory.url), "mallory");
      const ada = world.browser("ada");
      await ada.begin(victim.url);
      assert.equal((await ada.send(back)).status, 400);
      // Ada's state with Mallory's code
      const other = world.browser("ada");
      const again = await askedLink(world, "ada");
      const own = await other.begin(again.url);
      const mixed = new URL(back);
      mixed.searchParams.set("state", own.searchParams.get("state") ?? "");
      const page = await other.send(mixed);
      assert.notEqual(page.status, 200);
      assert.deepEqual((await world.node().accounts.list()).accounts, []);
    });
  });

  test("[UPA-13] a link is continued once, by many at a time", async () => {
    await withWorld(async (world) => {
      const { url } = await askedLink(world, "ada");
      const browser = world.browser("ada");
      const html = await (await browser.send(url)).text();
      const sent = await Promise.all([1, 2, 3, 4].map(() => browser.submit(html)));
      assert.deepEqual(sent.map(({ status }) => status).sort(), [303, 400, 400, 400]);
      assert.equal((await browser.send(url)).status, 400);
      assert.equal(world.reasons.at(-1), "open refused used-before");
    });
  });

  test("[UPA-13] an answer is used once, by many at a time", async () => {
    await withWorld(async (world) => {
      const { url } = await askedLink(world, "ada");
      const browser = world.browser("ada");
      const back = world.service.authorize(await browser.begin(url), "ada");
      const sent = await Promise.all([1, 2, 3].map(() => browser.send(back)));
      assert.deepEqual(sent.map(({ status }) => status).sort(), [200, 400, 400]);
      assert.equal((await browser.send(back)).status, 400);
    });
  });

  test("[UPA-14] a link that is too old leads nowhere, before and after the login", async () => {
    await withWorld(async (world) => {
      const { url } = await askedLink(world, "ada");
      const second = await askedLink(world, "ada");
      const browser = world.browser("ada");
      const back = world.service.authorize(await browser.begin(second.url), "ada");
      await world.clock.advance(600_000);
      assert.equal((await browser.send(url)).status, 400);
      assert.equal((await browser.send(back)).status, 400);
      assert.deepEqual((await world.node().accounts.list()).accounts, []);
    });
  });

  test("[UPA-14] a link leads nowhere after its session, before and after the login", async () => {
    await withWorld(async (world) => {
      const first = await askedLink(world, "ada");
      const second = await askedLink(world, "ada");
      const browser = world.browser("ada");
      const back = world.service.authorize(await browser.begin(second.url), "ada");
      await first.peer.delete();
      await second.peer.delete();
      await ended(world);
      assert.equal((await browser.send(first.url)).status, 400);
      assert.equal((await browser.send(back)).status, 400);
      assert.equal(world.reasons.at(-1), "connect refused session-ended-or-late");
      assert.deepEqual((await world.node().accounts.list()).accounts, []);
    });
  });

  test("[UPA-14] a session that ends while the code is redeemed gets no account", async () => {
    await withWorld(async (world) => {
      const { url, peer } = await askedLink(world, "ada");
      const browser = world.browser("ada");
      const back = world.service.authorize(await browser.begin(url), "ada");
      world.service.faults.token = async () => {
        await peer.delete();
        await ended(world);
        return undefined;
      };
      assert.equal((await browser.send(back)).status, 400);
      assert.deepEqual((await world.node().accounts.list()).accounts, []);
      // What was got is given back
      assert.equal(world.service.requests.at(-1)?.path, "/revoke");
    });
  });

  test("[UPA-17] forms of other sites are refused", async () => {
    await withWorld(async (world) => {
      const { url } = await askedLink(world, "ada");
      const browser = world.browser("ada");
      const html = await (await browser.send(url)).text();
      const ask = new URL(url).searchParams.get("ask") ?? "";
      const token = /name="token" value="([^"]*)"/.exec(html)?.[1] ?? "";
      const body = (fields: Record<string, string>) => new URLSearchParams(fields).toString();
      const type = { "content-type": "application/x-www-form-urlencoded" };
      for (
        const [headers, fields] of [
          [{ origin: "https://evil.example" }, { ask, token, answer: "connect" }],
          [{ "sec-fetch-site": "cross-site" }, { ask, token, answer: "connect" }],
          [{}, { ask, token: "guessed", answer: "connect" }],
        ] as const
      ) {
        const own = { method: "POST", headers: { ...type, ...headers }, body: body(fields) };
        assert.equal((await browser.send("/accounts/connect", own)).status, 400);
        assert.equal(world.reasons.at(-1), "start refused foreign-form");
      }
      assert.equal((await browser.submit(html)).status, 303);
    });
  });

  test("[UPA-11] who denies connects nothing, and a 2026 call ends with that", async () => {
    await withWorld(async (world) => {
      const peer = world.modern("ada");
      const asked = await peer.say("notes__who");
      const url = String(questionsOf(asked).mooring_sign_in?.params.url);
      const browser = world.browser("ada");
      const html = await (await browser.send(url)).text();
      assert.equal((await browser.submit(html, "deny")).status, 200);
      assert.equal((await browser.send(url)).status, 400);
      const declined = await peer.say("notes__who", {}, {
        inputResponses: { mooring_sign_in: { action: "decline" } },
        requestState: stateOf(asked),
      });
      assert.equal(declined.isError, true);
      assert.match(String(textOf(declined)), /did not sign in/);
    });
  });
});

describe("servers that misbehave", () => {
  const cases: readonly (readonly [string, Faults, string])[] = [
    ["[UPA-3] javascript: as authorization endpoint", {
      metadata: { authorization_endpoint: "javascript:alert(1)//" },
    }, "unsafe-address"],
    ["[UPA-3] an inner address as authorization endpoint", {
      metadata: { authorization_endpoint: "https://192.168.0.1/reboot" },
    }, "unsafe-address"],
    ["[UPA-3] http: as token endpoint", {
      metadata: { token_endpoint: "http://login-notes.example/token" },
    }, "unsafe-address"],
    ["[UPA-3] a user name in an address", {
      metadata: { token_endpoint: "https://a:b@login-notes.example/token" },
    }, "unsafe-address"],
    ["[UPA-3] javascript: as authorization server", {
      resource: { authorization_servers: ["javascript:alert(1)"] },
    }, "unsafe-address"],
    [
      "[UPA-3] data: as the metadata",
      { metadataUrl: "data:application/json,{}" },
      "unsafe-address",
    ],
    ["[UPA-3] metadata of another resource", {
      resource: { resource: "https://other.example/mcp" },
    }, "foreign-resource"],
    ["[UPA-3] metadata of another issuer", {
      metadata: { issuer: "https://other.example" },
    }, "foreign-issuer"],
    ["[UPA-1, UPA-3] a server without PKCE", {
      metadata: { code_challenge_methods_supported: ["plain"] },
    }, "no-pkce"],
    ["[UPA-2] a server that takes no registration", {
      metadata: {
        client_id_metadata_document_supported: false,
        registration_endpoint: undefined,
      },
    }, "no-registration"],
    ["[UPA-3] no authorization server", { resource: { authorization_servers: [] } }, "no-server"],
  ];
  for (const [name, faults, reason] of cases) {
    test(name, async () => {
      await withWorld(async (world) => {
        Object.assign(world.service.faults, faults);
        const { url, peer } = await askedLink(world, "ada");
        const browser = world.browser("ada");
        const html = await (await browser.send(url)).text();
        const sent = await browser.submit(html);
        assert.equal(sent.status, 502);
        assert.equal(sent.headers.get("location"), null);
        assert.equal(world.events.at(-1)?.reason, reason);
        // It comes back: the next call asks anew
        for (const name of Object.keys(faults)) {
          delete world.service.faults[name as keyof Faults];
        }
        assert.equal(textOf(await callConnected(world, peer, "ada", "notes__who", 5)), "ada@notes");
      });
    });
  }

  test("[UPA-3] inner addresses that metadata names are refused before anything is sent", async () => {
    for (const host of ["https://10.0.0.1", "https://169.254.169.254", "https://login.internal"]) {
      await withWorld(async (world) => {
        world.service.faults.resource = { authorization_servers: [host] };
        const { url } = await askedLink(world, "ada");
        const browser = world.browser("ada");
        const html = await (await browser.send(url)).text();
        const before = globalThis.fetch;
        // The upstream's own host is the operator's word
        globalThis.fetch = ((url: URL, init: RequestInit) =>
          world.fetch(url, init)) as typeof fetch;
        try {
          assert.equal((await browser.submit(html)).status, 502);
        } finally {
          globalThis.fetch = before;
        }
        assert.equal(world.events.at(-1)?.reason, "unsafe-address");
      }, { accounts: { fetch: undefined } });
    }
  });

  test("[UPA-4] a token for another server is not kept, and given back", async () => {
    await withWorld(async (world) => {
      world.service.faults.audience = "https://bank.example/mcp";
      const { url } = await askedLink(world, "ada");
      const page = await world.browser("ada").connect(url);
      assert.equal(page.status, 502);
      assert.equal(world.events.at(-1)?.reason, "foreign-audience");
      assert.equal(world.service.requests.at(-1)?.path, "/revoke");
      assert.deepEqual((await world.node().accounts.list()).accounts, []);
    });
    await withWorld(async (world) => {
      world.service.faults.audience = world.service.url;
      const peer = await world.peer("ada");
      assert.equal(textOf(await callConnected(world, peer, "ada", "notes__who")), "ada@notes");
    });
  });

  test("[UPA-16] the answers of two servers are not mixed up", async () => {
    await withWorld(async (world) => {
      const [notes, mail] = world.services;
      assert.ok(notes && mail);
      const { url } = await askedLink(world, "ada");
      const browser = world.browser("ada");
      const at = await browser.begin(url);
      // The other server got the user's code, and sends it with its own name, and with none
      const back = mail.authorize(at, "ada");
      assert.notEqual((await browser.send(back)).status, 200);
      assert.equal(notes.requests.filter(({ path }) => path === "/token").length, 0);
      assert.equal(mail.requests.filter(({ path }) => path === "/token").length, 0);
      notes.faults.iss = null;
      const again = await askedLink(world, "ada");
      const third = await browser.begin(again.url);
      assert.notEqual((await browser.send(notes.authorize(third, "ada"))).status, 200);
      assert.equal(notes.requests.filter(({ path }) => path === "/token").length, 0);
    }, { services: ["notes", "mail"] });
  });

  test("[UPA-16] a state of one upstream connects nothing at another", async () => {
    await withWorld(async (world) => {
      const [notes, mail] = world.services;
      assert.ok(notes && mail);
      const one = await askedLink(world, "ada", "notes__who");
      const two = await askedLink(world, "ada", "mail__who");
      const browser = world.browser("ada");
      const atNotes = await browser.begin(one.url);
      const atMail = await browser.begin(two.url);
      const back = notes.authorize(atNotes, "ada");
      back.searchParams.set("state", atMail.searchParams.get("state") ?? "");
      assert.notEqual((await browser.send(back)).status, 200);
      assert.deepEqual((await world.node().accounts.list()).accounts, []);
    }, { services: ["notes", "mail"] });
  });

  test("[UPA-18] an upstream that asks for a sign-in in a loop is an error", async () => {
    await withWorld(async (world) => {
      world.service.faults.refusesAll = true;
      const { url, peer } = await askedLink(world, "ada");
      assert.equal((await world.browser("ada").connect(url)).status, 200);
      await world.clock.advance(5_000);
      for (let id = 10; id < 15; id++) {
        const text = await (await peer.call(id, "notes__who")).text();
        assert.doesNotMatch(text, /-32042/);
        assert.match(text, /can't be used now \(unauthorized\)/);
      }
      assert.equal(world.service.logins, 1);
      assert.ok(world.service.refreshes <= 1, String(world.service.refreshes));
    });
  });

  test("[UPA-9] a scope that was asked for is not asked for again", async () => {
    await withWorld(async (world) => {
      const peer = await world.peer("ada");
      await callConnected(world, peer, "ada", "notes__who");
      const { url } = await linkOf(peer, await peer.call(5, "notes__write"));
      const browser = world.browser("ada");
      const at = await browser.begin(url);
      // The server gives less than it was asked for
      at.searchParams.set("scope", "read");
      await browser.send(world.service.authorize(at, "ada"));
      const text = await (await peer.call(6, "notes__write")).text();
      assert.match(text, /forbidden/);
      assert.equal(textOf(await peer.result(await peer.call(7, "notes__who"))), "ada@notes");
    });
  });
});

test("[UPA-5] who isn't authenticated is asked nothing", async () => {
  await withWorld(async (world) => {
    const handler = createMcpHandler(world.node().gateway, { path: "/mcp" });
    const peer = await initialize(handler, { capabilities: { elicitation: { url: {} } } });
    const text = await (await peer.call(1, "notes__who")).text();
    assert.match(text, /give this server \\"authenticate\\"/);
    assert.deepEqual(world.events, []);
    await handler.close({ graceMs: 0 });
  });
});

test("[UPA-10] a user who has not signed in sees one tool, where it is served alone, too", async () => {
  await withWorld(async (world) => {
    const handler = createMcpHandler(world.node().gateway.only("notes"), {
      path: "/mcp",
      authenticate: byToken,
    });
    const options = { headers: as("ada"), capabilities: { elicitation: { url: {} } } };
    const peer = await initialize(handler, options);
    const names = async (id: number) => {
      const { tools } = await peer.result(await peer.request(id, "tools/list"));
      return (tools as { name: string }[]).map(({ name }) => name);
    };
    assert.deepEqual(await names(1), ["connect_account"]);
    assert.deepEqual((await peer.result(await peer.request(2, "resources/list"))).resources, []);
    const { url } = await linkOf(peer, await peer.call(3, "connect_account"));
    await world.browser("ada").connect(url);
    assert.match(
      String(textOf(await peer.result(await peer.call(4, "connect_account")))),
      /connected/,
    );
    assert.deepEqual(await names(5), ["who", "write"]);
    assert.equal(textOf(await peer.result(await peer.call(6, "who"))), "ada@notes");
    await handler.close({ graceMs: 0 });
  });
});

test("[UPA-2] all nodes share one registration, and the document describes the gateway", async () => {
  await withWorld(async (world) => {
    world.service.faults.metadata = { client_id_metadata_document_supported: false };
    for (const [node, user] of [[0, "ada"], [1, "bob"]] as const) {
      const { url } = await askedLink(world, user, "notes__who", node);
      assert.equal((await world.browser(user).connect(url, { node })).status, 200);
    }
    assert.equal(world.service.registrations.length, 1);
    world.service.faults.metadata = {};
    const { url } = await askedLink(world, "cy");
    const at = await world.browser("cy").begin(url);
    const id = at.searchParams.get("client_id") ?? "";
    const document = await (await world.browser("cy").send(id)).json();
    assert.equal(document.client_id, id);
    assert.deepEqual(document.redirect_uris, [at.searchParams.get("redirect_uri")]);
  }, { nodes: 2 });
});

test("[UPA-2] a configured client is used, and a secret is sent to the token endpoint alone", async () => {
  await withWorld(async (world) => {
    const { url } = await askedLink(world, "ada");
    const browser = world.browser("ada");
    const at = await browser.begin(url);
    assert.equal(at.searchParams.get("client_id"), "by hand");
    assert.doesNotMatch(at.href, /hush/);
    assert.equal(at.searchParams.get("resource"), world.service.url);
    assert.equal((await browser.send(world.service.authorize(at, "ada"))).status, 200);
    assert.doesNotMatch(JSON.stringify(world.events), /hush/);
  }, {
    auth: {
      clientId: "by hand",
      clientSecret: "hush hush",
      issuer: "https://login-notes.example",
    },
  });
});

test("[UPA-15] link, login and answer reach three nodes, and the client goes on", async () => {
  await withWorld(async (world) => {
    const { url, peer } = await askedLink(world, "ada", "notes__who", 0);
    const stream = await peer.listen();
    const page = await world.browser("ada").connect(url, { node: 1, backAt: 2 });
    assert.equal(page.status, 200, await page.text());
    // The node that asked looks at the store
    await world.clock.advance(1_000);
    for (;;) {
      const message = await stream.message();
      if (message?.method === "notifications/elicitation/complete") break;
    }
    assert.equal(textOf(await peer.result(await peer.call(5, "notes__who"))), "ada@notes");
    const modern = world.modern("bob", 0);
    const asked = await modern.say("notes__who");
    const link = String(questionsOf(asked).mooring_sign_in?.params.url);
    await world.browser("bob").connect(link, { node: 2, backAt: 1 });
    const retried = await world.modern("bob", 1).say("notes__who", {}, {
      inputResponses: { mooring_sign_in: { action: "accept" } },
      requestState: stateOf(asked),
    });
    assert.equal(textOf(retried), "bob@notes");
    await stream.cancel();
  }, { nodes: 3 });
});
