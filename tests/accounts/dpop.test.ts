/** Tokens of upstreams that are bound to a key of the account (DPoP, RFC 9449). */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { clientCredentials, type UserAuthContext } from "../../src/accounts/mod.ts";
import { challengeOf } from "../../src/accounts/challenge.ts";
import { parseConfig } from "../../src/cli/config/config.ts";
import { makeProofKey, Proofs } from "../../src/accounts/dpop.ts";
import { memoryStore, type Store } from "../../src/cluster/mod.ts";
import { SealedRecords } from "../../src/signin/sealed_records.ts";
import { FakeClock } from "../support/clock.ts";
import { ProofReader } from "../support/proof_reader.ts";
import { textOf } from "../support/wire.ts";
import {
  type BoundTokens,
  callConnected,
  GATEWAY,
  KEYS,
  linkOf,
  Service,
  World,
  type WorldOptions,
} from "./world.ts";

async function withWorld(
  dpop: BoundTokens,
  act: (world: World) => Promise<void>,
  options: WorldOptions = {},
): Promise<void> {
  const world = new World(options);
  world.service.faults.dpop = dpop;
  try {
    await act(world);
  } finally {
    await world.close();
  }
}

const BOUND: BoundTokens = { server: "binds", upstream: "required", saysBy: "metadata" };

/** Connects an account, and returns what a call of the tool says. */
async function connected(world: World, user = "ada", node = 0): Promise<unknown> {
  return textOf(await callConnected(world, await world.peer(user, node), user, "notes__who"));
}

/** The path of the last token request. */
function tokenRequests(service: Service): URLSearchParams[] {
  return service.requests.filter(({ path }) => path === "/token").map(({ form }) => form);
}

describe("who gets bound tokens", () => {
  const ASKED: Readonly<Record<string, BoundTokens>> = {
    "metadata that wants no others": BOUND,
    "a challenge that wants no others": { ...BOUND, saysBy: "challenge" },
    "a challenge that offers them": { ...BOUND, upstream: "offered", saysBy: "challenge" },
  };
  for (const [what, dpop] of Object.entries(ASKED)) {
    test(`[DPOP-12] an upstream with ${what}, in both eras`, async () => {
      await withWorld(dpop, async (world) => {
        const { service } = world;
        const peer = await world.peer("ada");
        const { url } = await linkOf(peer, await peer.call(1, "notes__who"));
        const at = await world.browser("ada").begin(url);
        assert.match(at.searchParams.get("dpop_jkt") ?? "", /^[\w-]{43}$/);
        assert.equal(await connected(world), "ada@notes");
        assert.equal(textOf(await world.modern("ada").say("notes__who")), "ada@notes");
        const [key] = service.keys.upstream;
        assert.deepEqual([...service.keys.server], [key]);
        assert.equal(service.keys.upstream.size, 1);
        // The renewed tokens are of the same key
        await world.clock.advance(3_590_000);
        assert.equal(await connected(world), "ada@notes");
        assert.equal(service.refreshes, 1);
        assert.deepEqual([...service.keys.server], [key]);
        // Another user has another key
        assert.equal(await connected(world, "bob"), "bob@notes");
        assert.equal(service.keys.upstream.size, 2);
      });
    });
  }

  test("[DPOP-12] always by the option, where the server can", async () => {
    const auth = { dpop: true };
    await withWorld({ server: "binds" }, async (world) => {
      assert.equal(await connected(world), "ada@notes");
      assert.equal(world.service.keys.upstream.size, 1);
    }, { auth });
    await withWorld({}, async (world) => {
      const peer = await world.peer("ada");
      const { url } = await linkOf(peer, await peer.call(1, "notes__who"));
      const browser = world.browser("ada");
      const page = await browser.submit(await (await browser.send(url)).text());
      assert.equal(page.status, 502);
      assert.match(await page.text(), /bound to a key/);
      assert.ok(world.reasons.includes("start refused no-dpop"), world.reasons.join());
    }, { auth });
  });

  const BEARER: Readonly<Record<string, readonly [BoundTokens, WorldOptions]>> = {
    "the option is false": [{ ...BOUND, upstream: "offered" }, { auth: { dpop: false } }],
    "nobody asks for others": [{ server: "binds" }, {}],
    "others are offered, but its server has none": [
      { upstream: "offered", saysBy: "challenge" },
      {},
    ],
    "others are offered, but its server answers without one": [
      { server: "silent", upstream: "offered", saysBy: "challenge" },
      {},
    ],
  };
  for (const [what, [dpop, options]] of Object.entries(BEARER)) {
    test(`[DPOP-12] not where ${what}`, async () => {
      await withWorld(dpop, async (world) => {
        assert.equal(await connected(world), "ada@notes");
        assert.equal(world.service.keys.upstream.size, 0);
        await world.clock.advance(3_590_000);
        assert.equal(await connected(world), "ada@notes");
        assert.equal(world.service.refreshes, 1);
      }, options);
    });
  }

  for (const server of ["silent", undefined] as const) {
    test(
      `[DPOP-12] one that wants no others gets none of a server that ${
        server === undefined ? "has none" : "answers without one"
      }`,
      async () => {
        await withWorld({ ...BOUND, server: server as "silent" }, async (world) => {
          const peer = await world.peer("ada");
          const { url } = await linkOf(peer, await peer.call(1, "notes__who"));
          const browser = world.browser("ada");
          const page = await browser.submit(await (await browser.send(url)).text());
          const reason = server === undefined
            ? "start refused no-dpop"
            : "connect refused unbound-token";
          if (page.status === 303) {
            const at = new URL(page.headers.get("location") ?? "");
            const end = await browser.send(world.service.authorize(at, "ada"));
            assert.match(await end.text(), /without a bound token/);
          }
          assert.ok(world.reasons.includes(reason), world.reasons.join());
          assert.deepEqual((await world.node().accounts.list()).accounts, []);
        });
      },
    );
  }

  test("[DPOP-12] an upstream that begins to want them asks its users once more, and has them then", async () => {
    await withWorld({}, async (world) => {
      const { service } = world;
      assert.equal(await connected(world), "ada@notes");
      service.faults.dpop = { ...BOUND, saysBy: "challenge" };
      assert.equal(await connected(world), "ada@notes");
      assert.equal(service.logins, 2);
      assert.equal(await connected(world), "ada@notes");
      assert.equal(service.logins, 2);
      assert.equal(service.keys.upstream.size, 1);
    });
  });
});

describe("the key", () => {
  test("[DPOP-12] is proved by every node, and after a restart of all of them", async () => {
    await withWorld(BOUND, async (world) => {
      const { service } = world;
      assert.equal(await connected(world), "ada@notes");
      assert.equal(await connected(world, "ada", 1), "ada@notes");
      world.add();
      assert.equal(await connected(world, "ada", 2), "ada@notes");
      await world.clock.advance(3_590_000);
      for (const node of [2, 1, 0]) {
        assert.equal(await connected(world, "ada", node), "ada@notes");
        await world.clock.advance(6_000);
      }
      assert.equal(service.logins, 1);
      assert.equal(service.refreshes, 1);
      assert.equal(service.keys.upstream.size, 1);
    }, { nodes: 2 });
  });

  test("[DPOP-14] and the tokens are in no page, event, answer or record, in clear", async () => {
    const raw: string[] = [];
    const inner = memoryStore();
    const store: Store = {
      ...inner,
      records(clock) {
        const records = inner.records?.(clock) ?? assert.fail();
        return {
          get: (key) => records.get(key),
          put(key, value, write) {
            raw.push(key, value);
            return records.put(key, value, write);
          },
          delete: (key, expected) => records.delete(key, expected),
          list: (prefix, cursor) => records.list(prefix, cursor),
        };
      },
    };
    await withWorld(BOUND, async (world) => {
      const { service } = world;
      const shown: string[] = [];
      const peer = await world.peer("ada");
      const { url } = await linkOf(peer, await peer.call(1, "notes__who"));
      const browser = world.browser("ada");
      const first = await (await browser.send(url)).text();
      const sent = await browser.submit(first);
      const at = new URL(sent.headers.get("location") ?? "");
      const end = await browser.send(service.authorize(at, "ada"));
      shown.push(first, at.href, await end.text());
      shown.push(await (await peer.call(2, "notes__who")).text());
      shown.push(await (await browser.send("/accounts")).text());
      await world.clock.advance(3_590_000);
      service.faults.token = () => new Response("gone", { status: 500 });
      await world.clock.advance(60_000);
      shown.push(await (await peer.call(3, "notes__who")).text());
      service.faults.token = () => undefined;
      shown.push(await (await peer.call(4, "notes__who")).text());
      service.faults.refusesAll = true;
      await world.clock.advance(60_000);
      shown.push(await (await peer.call(5, "notes__who")).text());
      const [{ id } = assert.fail()] = (await world.node().accounts.list()).accounts;
      const records = inner.records?.(world.clock) ?? assert.fail();
      const purpose = "mooring accounts records 1";
      const sealed = new SealedRecords(records, KEYS, `accounts:${GATEWAY}:`, purpose);
      const stored = JSON.parse((await sealed.get(`account:${id}`))?.value ?? "");
      assert.equal(typeof stored.key.jwk.d, "string");
      const all = [...shown, ...raw, JSON.stringify([...world.events, ...world.mcpEvents])];
      const errors = world.events.flatMap(({ error }) => error instanceof Error ? error : []);
      all.push(...errors.flatMap(({ message, stack, cause }) => [message, `${stack}`, `${cause}`]));
      const secrets = [stored.key.jwk.d, ...service.secrets].filter((one) =>
        !one.startsWith("code")
      );
      assert.ok(secrets.length > 3);
      for (const secret of secrets) {
        assert.equal(all.some((text) => text.includes(secret)), false, secret);
      }
    }, { store });
  });
});

describe("nonces", () => {
  test("[DPOP-13] are learned from the first refusal, and from each answer after that", async () => {
    let nonce = "first";
    await withWorld({ ...BOUND, nonce: () => nonce }, async (world) => {
      const { service } = world;
      assert.equal(await connected(world), "ada@notes");
      // One at the server, one at the upstream
      assert.equal(service.nonceErrors, 2);
      for (let calls = 0; calls < 3; calls++) assert.equal(await connected(world), "ada@notes");
      assert.equal(await connected(world, "bob"), "bob@notes");
      assert.equal(service.nonceErrors, 2);
      nonce = "second";
      assert.equal(await connected(world), "ada@notes");
      assert.equal(service.nonceErrors, 3);
      await world.clock.advance(3_590_000);
      assert.equal(await connected(world), "ada@notes");
      assert.equal(service.refreshes, 1);
      assert.equal(service.nonceErrors, 4);
    });
  });

  test("[DPOP-13] an upstream that always wants another one is asked twice, and then it is an error", async () => {
    let count = 0;
    let isMad = false;
    await withWorld(
      { ...BOUND, nonce: () => isMad ? `nonce-${++count}` : "one" },
      async (world) => {
        const { service } = world;
        assert.equal(await connected(world), "ada@notes");
        const before = service.nonceErrors;
        isMad = true;
        // Just connected: the user isn't asked again
        const peer = await world.peer("ada");
        const text = await (await peer.call(9, "notes__who")).text();
        assert.match(text, /unauthorized/);
        assert.doesNotMatch(text, /-32042/);
        // The list of tools, and the call
        const requests = service.nonceErrors - before;
        assert.ok(requests % 2 === 0 && requests <= 8, String(requests));
      },
    );
  });

  test("[DPOP-13] of a thousand origins are remembered, the latest ones", async () => {
    const clock = new FakeClock();
    const proofs = new Proofs(clock);
    const key = await makeProofKey("ES256");
    const reader = new ProofReader(clock);
    const urlOf = (n: number) => `https://server-${n}.example/token`;
    for (let n = 0; n <= 1_000; n++) {
      const response = new Response(null, { headers: { "dpop-nonce": `nonce-${n}` } });
      assert.equal(proofs.proverOf(key).learn(urlOf(n), response), true);
    }
    const nonceAt = async (n: number) => {
      const { dpop } = await proofs.proverOf(key).header({
        url: `${urlOf(n)}?x=1`,
        method: "POST",
      });
      return (await reader.read(dpop, { url: urlOf(n), method: "POST" })).nonce;
    };
    assert.equal(await nonceAt(0), undefined);
    assert.equal(await nonceAt(1), "nonce-1");
    assert.equal(await nonceAt(1_000), "nonce-1000");
    // What another key is given meanwhile doesn't take the place of a request's own
    const [mine, other] = [proofs.proverOf(key), proofs.proverOf(await makeProofKey("EdDSA"))];
    const given = (nonce: string) => new Response(null, { headers: { "dpop-nonce": nonce } });
    mine.learn(urlOf(1), given("mine"));
    other.learn(urlOf(1), given("other"));
    const { dpop } = await mine.header({ url: urlOf(1), method: "GET" });
    assert.equal((await reader.read(dpop, { url: urlOf(1), method: "GET" })).nonce, "mine");
    for (const wrong of ['a"b', "a b", "x".repeat(2_000), ""]) {
      const response = new Response(null, { headers: { "dpop-nonce": wrong } });
      assert.equal(proofs.proverOf(key).learn(urlOf(1), response), false, wrong);
    }
  });
});

test("[DPOP-12] a challenge is read whatever else is in it", () => {
  const read = (value: string) =>
    challengeOf(new Response(null, { status: 401, headers: { "www-authenticate": value } }));
  const CHALLENGES: readonly (readonly [string, string | undefined, boolean, string?])[] = [
    ["Bearer", undefined, false],
    ["DPoP", "required", false],
    ['dpop algs="ES256"', "required", false],
    ['Bearer scope="a b", DPoP algs="ES256"', "offered", false],
    ['DPoP algs="ES256", Bearer error="invalid_token"', "offered", false, "invalid_token"],
    ['Bearer realm="DPoP, Bearer"', undefined, false],
    ['Basic realm="x", error="y", Bearer', undefined, false],
    [
      'DPoP error="use_dpop_nonce", error_description="DPoP \\"x\\""',
      "required",
      true,
      "use_dpop_nonce",
    ],
    ['Bearer error="use_dpop_nonce"', undefined, false, "use_dpop_nonce"],
    ["", undefined, false],
  ];
  for (const [value, bound, wantsNonce, error] of CHALLENGES) {
    const found = read(value);
    assert.deepEqual(
      [found.bound, found.wantsNonce, found.error],
      [bound, wantsNonce, error],
      value,
    );
  }
  const both = read(
    'Bearer scope="a b", DPoP algs="ES256", resource_metadata="https://x.example/m"',
  );
  assert.deepEqual(both.scopes, ["a", "b"]);
  assert.equal(both.metadataUrl, "https://x.example/m");
});

test("[DPOP-16] the command takes dpop of a server's oauth in its file", () => {
  const read = (dpop: unknown) =>
    parseConfig({
      file: "mooring.json",
      env: {},
      text: JSON.stringify({
        mcpServers: { notes: { url: "https://notes.example/mcp", oauth: { dpop } } },
        publicUrl: "https://mcp.example",
        signIn: {
          provider: { type: "github", clientId: "x", clientSecret: "a secret of the client" },
          allow: "everybody",
        },
      }),
    }).config;
  const { notes } = read(true).mcpServers;
  assert.ok(notes && "oauth" in notes);
  assert.deepEqual(notes.oauth, { dpop: true });
  assert.throws(() => read("yes"), /oauth/);
});

describe("clientCredentials()", () => {
  interface Machine {
    readonly service: Service;
    readonly clock: FakeClock;
    readonly events: number[];
    call(): Promise<Response>;
  }

  async function withMachine(
    dpop: BoundTokens,
    act: (machine: Machine) => Promise<void>,
    options: { readonly dpop?: boolean; readonly issuer?: string } = {},
  ): Promise<void> {
    const clock = new FakeClock();
    const service = new Service("notes", clock);
    service.faults.dpop = dpop;
    let proved: string | undefined;
    const fetch = async (url: URL, init: RequestInit) => {
      const proof = new Headers(init.headers).get("dpop");
      if (url.pathname === "/token") {
        proved = proof === null ? undefined : await thumbprintOf(proof);
      }
      return await service.fetch(url, init) ?? new Response(null, { status: 404 });
    };
    service.faults.token = () =>
      service.issue({ user: "mooring", scopes: [], isRevoked: false, refresh: "", jkt: proved });
    const auth = clientCredentials({
      ...{ clientId: "mooring", clientSecret: "the secret", fetch, clock },
      ...{ issuer: service.issuer, ...options },
    });
    const call = async (): Promise<Response> => {
      const context: UserAuthContext = {
        ...{ upstream: "notes", url: service.url, target: service.url, method: "POST" },
        ...{ principal: { id: "ada" }, request: new Request(service.url), signal: undefined },
      };
      const send = async () => {
        const sent = await auth.headers(context);
        const init = { method: "POST", headers: { ...sent }, body: "{}" };
        return { sent, response: await fetch(new URL(service.url), init) };
      };
      let { sent, response } = await send();
      if (auth.answered?.(response, sent, context) === true) ({ sent, response } = await send());
      if (response.status !== 401) return response;
      await auth.refused(response, sent, context);
      ({ sent, response } = await send());
      if (auth.answered?.(response, sent, context) === true) ({ response } = await send());
      return response;
    };
    try {
      await act({ service, clock, events: [], call });
    } finally {
      await service.close();
    }
  }

  for (const saysBy of ["metadata", "challenge"] as const) {
    test(`[DPOP-15] binds the gateway's own token, as the upstream's ${saysBy} says`, async () => {
      await withMachine(
        { ...BOUND, saysBy, nonce: () => "n" },
        async ({ service, call, clock }) => {
          assert.notEqual((await call()).status, 401);
          assert.notEqual((await call()).status, 401);
          assert.equal(service.keys.upstream.size, 1);
          assert.equal(service.nonceErrors, 2);
          const requests = tokenRequests(service).length;
          await clock.advance(3_590_000);
          assert.notEqual((await call()).status, 401);
          assert.equal(tokenRequests(service).length, requests + 1);
          assert.equal(service.nonceErrors, 2);
        },
      );
    });
  }

  test("[DPOP-15] by the option, or not", async () => {
    await withMachine({ server: "binds" }, async ({ service, call }) => {
      assert.notEqual((await call()).status, 401);
      assert.equal(service.keys.upstream.size, 1);
    }, { dpop: true });
    await withMachine({ ...BOUND, upstream: "offered" }, async ({ service, call }) => {
      assert.notEqual((await call()).status, 401);
      assert.equal(service.keys.upstream.size, 0);
    }, { dpop: false });
    await withMachine({}, async ({ call }) => {
      await assert.rejects(call(), /bound to a key/);
    }, { dpop: true });
  });

  test("[DPOP-15] its options are checked", () => {
    const client = { clientId: "x", clientSecret: "y", issuer: "https://login.example" };
    assert.throws(() => clientCredentials({ ...client, dpop: "yes" as never }), /"dpop"/);
  });
});

async function thumbprintOf(proof: string): Promise<string> {
  const { calculateJwkThumbprint, decodeProtectedHeader } = await import("jose");
  const { jwk } = decodeProtectedHeader(proof);
  assert.ok(jwk);
  return await calculateJwkThumbprint(jwk, "sha256");
}
