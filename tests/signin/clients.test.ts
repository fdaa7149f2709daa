import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createClients } from "../../src/signin/clients/clients.ts";
import { redirectAllowed } from "../../src/signin/clients/redirects.ts";
import {
  ClientError,
  type ClientsOptions,
  type SignInClient,
} from "../../src/signin/clients/types.ts";
import { FakeClock } from "../support/clock.ts";
import { testRecords } from "./records.ts";

const ID = "https://editor.example/client.json";
const DOCUMENT = {
  client_id: ID,
  client_name: "Editor",
  redirect_uris: ["http://127.0.0.1/callback", "https://editor.example/callback"],
  token_endpoint_auth_method: "none",
};
const JSON_TYPE = { "content-type": "application/json" };

function made(answer: (url: URL) => Response | Promise<Response>, more: object = {}) {
  const clock = new FakeClock();
  const reads: string[] = [];
  const options: ClientsOptions = {
    records: testRecords(clock),
    clock,
    fetch: async (url) => (reads.push(url.href), await answer(url)),
    ...more,
  };
  return { clients: createClients(options), clock, reads };
}

function document(change: object = {}, headers: object = {}): Response {
  const body = JSON.stringify({ ...DOCUMENT, ...change });
  return new Response(body, { headers: { ...JSON_TYPE, ...headers } });
}

function refused(code: string, work: Promise<unknown>, label?: string): Promise<void> {
  return assert.rejects(
    work,
    (error) => error instanceof ClientError && error.code === code,
    label,
  );
}

describe("[FRONT-54] redirect addresses", () => {
  const client: SignInClient = {
    id: "a",
    kind: "configured",
    name: "A",
    redirectUris: [
      "https://app.example/cb?x=1",
      "http://127.0.0.1:3000/cb",
      "http://[::1]/cb",
      "http://localhost/cb",
      "editor://host/cb",
    ],
  };

  test("[FRONT-54] the client's own, and any port of loopback", () => {
    const allowed = [
      ...client.redirectUris,
      ...["http://127.0.0.1/cb", "http://127.0.0.1:65535/cb", "http://[::1]:8/cb"],
      "http://localhost:49152/cb",
    ];
    for (const uri of allowed) assert.equal(redirectAllowed(client, uri), true, uri);
  });

  test("[FRONT-54] manipulated ones, in every spelling", () => {
    const wrong = [
      ...[
        "https://app.example/cb",
        "https://app.example/cb?x=1&y=2",
        "https://app.example/cb?x=1#",
      ],
      ...[
        "https://app.example:443/cb?x=1",
        "HTTPS://app.example/cb?x=1",
        "https://APP.example/cb?x=1",
      ],
      ...["https://app.example./cb?x=1", "https://app.example@evil.example/cb?x=1"],
      ...["https://app.example.evil.example/cb?x=1", "https://app.example/cb/../cb?x=1"],
      ...["https://app.example/%63b?x=1", "https://app.example\\@evil.example/cb?x=1"],
      ...[
        "https://app.example/cb?x=1 ",
        " https://app.example/cb?x=1",
        "https://app.example//cb?x=1",
      ],
      ...["http://app.example/cb?x=1", "https:app.example/cb?x=1", "//app.example/cb?x=1"],
      ...[
        "https://аpp.example/cb?x=1",
        "https://app.example/cb?x=1\n",
        "https://app.example:8/cb?x=1",
      ],
      ...[
        "http://127.0.0.1:80@evil.example/cb",
        "http://127.0.0.1:99999/cb",
        "http://127.0.0.1:0/cb",
      ],
      ...["http://127.0.0.1.evil.example/cb", "http://127.0.0.1:/cb", "https://127.0.0.1/cb"],
      ...[
        "http://127.0.0.2/cb",
        "http://2130706433/cb",
        "http://0x7f.1/cb",
        "http://localhost/cb/",
      ],
      ...[
        "http://LOCALHOST/cb",
        "http://127.0.0.1/cb?x",
        "http://127.0.0.1/CB",
        "editor://host:1/cb",
      ],
      ...["http://localhost.evil.example/cb", "http://127.0.0.1:1:2/cb", "", "javascript:alert(1)"],
    ];
    for (const uri of wrong) assert.equal(redirectAllowed(client, uri), false, uri);
  });

  test("[FRONT-54] what no client may have", async () => {
    const uris = [
      ...["javascript:alert(1)", "data:text/html,x", "file:///x", "http://app.example/cb"],
      ...["https://app.example/cb#f", "https://u:p@app.example/", "https://app.example\\x", "cb"],
      ...["https://0x7f.1/cb", "HTTPS://app.example/cb", "https:/app.example", 7],
    ];
    const { clients } = made(() => document());
    for (const uri of uris) {
      const metadata = { redirect_uris: [uri] };
      await refused(
        "invalid_redirect_uri",
        Promise.resolve(clients.register?.(metadata, "s")),
        String(uri),
      );
    }
    for (const redirect_uris of [undefined, [], "https://a.example", Array(21).fill(ID)]) {
      await refused(
        "invalid_redirect_uri",
        Promise.resolve(clients.register?.({ redirect_uris }, "s")),
      );
    }
  });
});

describe("[FRONT-52] documents of clients", () => {
  test("[FRONT-52] a client is what its document says, read once by many", async () => {
    const { clients, reads } = made(() => document({ client_name: " Edi\u202etor\n" }));
    const [client, again] = await Promise.all([clients.find(ID), clients.find(ID)]);
    assert.equal(client, again);
    assert.deepEqual(client, {
      id: ID,
      kind: "document",
      host: "editor.example",
      name: "Edi\\u202etor",
      redirectUris: DOCUMENT.redirect_uris,
    });
    assert.equal(await clients.find(ID), client);
    assert.deepEqual(reads, [ID]);
  });

  test("[FRONT-52] each wrong client_id is refused unread", async () => {
    const { clients, reads } = made(() => document());
    const wrong = [
      ...["https://editor.example", "https://editor.example/", "https://editor.example/a/../b"],
      ...["https://editor.example/%2e%2e/b", "https://editor.example/./b", `${ID}#`, `${ID}#f`],
      ...["https://u@editor.example/c", "https://u:p@editor.example/c", "HTTPS://editor.example/c"],
      ...["https://EDITOR.example/c", "https://editor.example:443/c", "https://editor.example\\c"],
      ...[
        "https:editor.example/c",
        "https://edi\ttor.example/c",
        `https://a.example/${"x".repeat(2_000)}`,
      ],
    ];
    for (const id of wrong) await refused("invalid_client", clients.find(id), id);
    for (const id of ["http://editor.example/c", "ftp://a/b", "unknown", "registered_x", ""]) {
      assert.equal(await clients.find(id), undefined, id);
    }
    assert.deepEqual(reads, []);
  });

  test("[FRONT-52] each wrong document is refused", async () => {
    const wrong: readonly (() => Response)[] = [
      () => document({ client_id: `${ID}?` }),
      () => document({ client_id: undefined }),
      () => document({ client_secret: "s" }),
      () => document({ client_secret_expires_at: 0 }),
      () => document({ token_endpoint_auth_method: "client_secret_basic" }),
      () => document({ token_endpoint_auth_method: "client_secret_jwt" }),
      () => document({ redirect_uris: [] }),
      () => document({ redirect_uris: ["javascript:alert(1)"] }),
      () => document({ client_name: 7 }),
      () => document({ grant_types: ["implicit"] }),
      () => document({ response_types: ["token"] }),
      () => document({ scope: "a  b" }),
      () => document({ pad: "x".repeat(20_000) }),
      () => document({}, { "content-type": "text/html" }),
      () => new Response("[]", { headers: JSON_TYPE }),
      () => new Response("{", { headers: JSON_TYPE }),
      () => new Response(new Uint8Array([0xff]), { headers: JSON_TYPE }),
      () => new Response("{}", { status: 404, headers: JSON_TYPE }),
      () => new Response(null, { status: 302, headers: { location: ID } }),
    ];
    for (const answer of wrong) {
      await refused("invalid_client", made(answer).clients.find(ID), String(answer));
    }
  });

  test("[FRONT-52] a document is kept as its headers allow, and never longer than the bound", async () => {
    const table: readonly (readonly [headers: object, keptMs: number])[] = [
      [{}, 300_000],
      [{ "cache-control": "max-age=60" }, 60_000],
      [{ "cache-control": "max-age=60, s-maxage=30", age: "10" }, 20_000],
      [{ "cache-control": "max-age=999999999" }, 3_600_000],
      [{ "cache-control": "no-store" }, 0],
      [{ "cache-control": "private, max-age=60" }, 0],
      [{ "cache-control": "max-age=x" }, 0],
      [{ expires: "0" }, 0],
    ];
    for (const [headers, keptMs] of table) {
      const { clients, clock, reads } = made(() => document({}, headers));
      await clients.find(ID);
      if (keptMs > 0) {
        await clock.advance(keptMs - 1);
        await clients.find(ID);
        assert.equal(reads.length, 1, JSON.stringify(headers));
        await clock.advance(1);
      }
      await clients.find(ID);
      assert.equal(reads.length, 2, JSON.stringify(headers));
    }
  });

  test("[FRONT-52] failures aren't kept, and not repeated at once", async () => {
    let away = true;
    const { clients, clock, reads } = made(() => {
      if (away) throw new Error("Away");
      return document();
    });
    await refused("temporarily_unavailable", clients.find(ID));
    await refused("temporarily_unavailable", clients.find(ID));
    assert.equal(reads.length, 1);
    away = false;
    await clock.advance(2_000);
    assert.equal((await clients.find(ID))?.name, "Editor");
  });

  test("[FRONT-52] a flood of a host's documents doesn't lock out one that was right", async () => {
    const { clients, reads } = made((url) =>
      url.href === ID
        ? document({}, { "cache-control": "no-store" })
        : new Response("", { status: 404 })
    );
    await clients.find(ID);
    for (let i = 0; i < 200; i++) await assert.rejects(clients.find(`${ID}?${i}`), ClientError);
    assert.equal(reads.length, 60);
    assert.equal((await clients.find(ID))?.id, ID);
  });
});

describe("[FRONT-53] registration", () => {
  const metadata = {
    client_name: "Editor",
    redirect_uris: ["http://localhost:3000/cb"],
    token_endpoint_auth_method: "client_secret_post",
    client_uri: "javascript:alert(1)",
    scope: "notes:read",
  };
  const registered = async (clients: ReturnType<typeof createClients>, from = "192.0.2.1") => {
    const answer = await clients.register?.(metadata, from);
    return answer as Record<string, unknown> & { client_id: string };
  };

  test("[FRONT-53] a client gets an id, no secret, and is found until it isn't used", async () => {
    const { clients, clock } = made(() => document());
    const answer = await registered(clients);
    assert.equal(answer.token_endpoint_auth_method, "none");
    assert.equal("client_secret" in answer || "client_uri" in answer, false);
    const client = await clients.find(answer.client_id);
    assert.equal(client?.kind, "registered");
    assert.equal(client?.host, undefined);
    const day = 24 * 3_600_000;
    assert.equal(await clients.renew(answer.client_id), true);
    await clock.advance(89 * day);
    assert.equal((await clients.find(answer.client_id))?.name, "Editor");
    assert.equal(await clients.renew(answer.client_id), true);
    await clock.advance(89 * day);
    assert.equal((await clients.find(answer.client_id))?.name, "Editor");
    await clock.advance(2 * day);
    assert.equal(await clients.find(answer.client_id), undefined);
    assert.equal(await clients.renew(answer.client_id), false);
  });

  test("[FRONT-32] one with which nobody has signed in is forgotten after three days, however often it is looked up", async () => {
    const { clients, clock } = made(() => document());
    const { client_id: id } = await registered(clients);
    const other = await registered(clients);
    const hour = 3_600_000;
    await clock.advance(71 * hour);
    assert.ok(await clients.find(id));
    assert.equal(await clients.isKnown(id), true);
    await clients.renew(other.client_id);
    await clock.advance(2 * hour);
    assert.equal(await clients.find(id), undefined);
    assert.equal(await clients.isKnown(id), false);
    assert.ok(await clients.find(other.client_id));
  });

  test("[FRONT-53] rates of a sender and of all, and a full store", async () => {
    const { clients, clock } = made(() => document(), {
      registration: { perSenderHourly: 2, perHour: 3 },
    });
    await registered(clients, "2001:db8::1");
    await registered(clients, "2001:db8::2");
    await refused("too_many_requests", registered(clients, "2001:db8::3"));
    await registered(clients, "192.0.2.2");
    await refused("too_many_requests", registered(clients, "192.0.2.3"));
    await clock.advance(3_600_000);
    await registered(clients, "2001:db8::1");
    const full = made(() => document(), { records: testRecords(clock, 1) });
    await registered(full.clients);
    await refused("temporarily_unavailable", registered(full.clients));
  });

  test("[FRONT-53] off, and large metadata", async () => {
    const { clients } = made(() => document(), { registration: false });
    assert.equal(clients.register, undefined);
    const large = { ...metadata, contacts: ["x".repeat(20_000)] };
    const on = made(() => document()).clients;
    await refused("invalid_client_metadata", Promise.resolve(on.register?.(large, "a")));
    await refused("invalid_client_metadata", Promise.resolve(on.register?.([], "a")));
  });

  test("[FRONT-53] wrong options are refused at the start", () => {
    const records = testRecords(new FakeClock());
    const wrong: readonly object[] = [
      { registraton: false },
      { registration: { perHours: 1 } },
      { registration: { perHour: 0 } },
      { documents: { maxBytes: "1" } },
      { clients: [{ id: "a", redirectUris: ["javascript:1"] }] },
      { clients: [{ id: "a b", redirectUris: [ID] }] },
    ];
    for (const options of wrong) {
      assert.throws(() => createClients({ records, ...options }), /TypeError|RangeError/);
    }
    const clients = createClients({ records, clients: [{ id: "a", redirectUris: [ID] }] });
    return clients.find("a").then((client) => assert.equal(client?.kind, "configured"));
  });
});
