import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Unauthorized, Unavailable } from "../../../src/auth/errors.ts";
import { jwt } from "../../../src/auth/jwt.ts";
import { AUDIENCE, ISSUER, Issuer, makeKey, withToken } from "../../auth/issuer.ts";
import { BROKEN, FakeEndpoint, hang } from "../../auth/fake_endpoint.ts";
import { FakeClock, flush } from "../../support/clock.ts";

async function bench() {
  const clock = new FakeClock();
  const issuer = await Issuer.make({ clock });
  const published = () => Response.json(issuer.jwks);
  const endpoint = new FakeEndpoint(published);
  const errors: unknown[] = [];
  const authenticate = jwt({
    issuer: ISSUER,
    audience: AUDIENCE,
    jwksUri: `${ISSUER}/jwks`,
    fetch: endpoint.fetch,
    onError: (error) => errors.push(error),
    clock,
  });
  /** Who a token is taken for, or the error. */
  const check = async (token: string): Promise<unknown> => {
    return await Promise.resolve(authenticate(withToken(token))).then(({ id }) => id, (e) => e);
  };
  const mint = (kid?: string) => issuer.mint({ forS: 100_000, header: kid ? { kid } : {} });
  return { clock, issuer, endpoint, published, errors, check, mint };
}

const MINUTE = 60_000;

describe("jwt(): keys behind a URL", () => {
  test("[AUTH-4] are fetched when they are needed, once, for everybody", async () => {
    const { endpoint, check, mint } = await bench();
    assert.equal(endpoint.asked.length, 0);
    const token = await mint();
    assert.deepEqual(await Promise.all(Array(20).fill(token).map(check)), Array(20).fill("ada"));
    assert.equal(await check(token), "ada");
    assert.equal(endpoint.asked.length, 1);
    assert.equal(endpoint.asked[0]?.url, `${ISSUER}/jwks`);
    assert.equal(endpoint.asked[0]?.init.redirect, "manual");
  });

  test("[AUTH-4] are fetched again after a while, and nobody waits for it", async () => {
    const { clock, endpoint, published, check, mint } = await bench();
    const token = await mint();
    await check(token);
    await clock.advance(10 * MINUTE - 1);
    await check(token);
    assert.equal(endpoint.asked.length, 1);
    await clock.advance(1);
    endpoint.answer = hang;
    assert.equal(await check(token), "ada");
    assert.equal(await check(token), "ada");
    assert.equal(endpoint.asked.length, 2);
    await clock.advance(5_000);
    endpoint.answer = published;
    assert.equal(await check(token), "ada");
    await flush();
    assert.equal(await check(token), "ada");
    assert.equal(endpoint.asked.length, 3);
  });

  test("[AUTH-4] are fetched again too when the clock was set back", async () => {
    const { clock, issuer, endpoint, check, mint } = await bench();
    const old = await mint();
    assert.equal(await check(old), "ada");
    for (let i = 0; i < 9; i++) await check(await mint(`no-${i}`));
    const asked = endpoint.asked.length;
    await issuer.rotate();
    clock.set(clock.now() - 30 * 86_400_000);
    assert.equal(await check(await mint()), "ada");
    assert.equal(endpoint.asked.length, asked + 1);
    assert.ok(await check(old) instanceof Unauthorized);
  });

  test("[AUTH-4] that were replaced are found at once, and the old ones are forgotten", async () => {
    const { issuer, endpoint, check, mint } = await bench();
    const old = await mint();
    assert.equal(await check(old), "ada");
    await issuer.rotate();
    const tokens = await Promise.all(Array.from({ length: 20 }, () => mint()));
    assert.deepEqual(await Promise.all(tokens.map(check)), Array(20).fill("ada"));
    assert.equal(endpoint.asked.length, 2);
    assert.ok(await check(old) instanceof Unauthorized);
    await issuer.rotate();
    assert.equal(await check(await mint()), "ada");
  });

  test("[AUTH-4] whose names are made up cost the issuer a bounded number of requests", async () => {
    const { clock, issuer, endpoint, check, mint } = await bench();
    await check(await mint());
    for (let i = 0; i < 50; i++) {
      assert.ok(await check(await mint(`no-${i}`)) instanceof Unauthorized);
    }
    assert.equal(endpoint.asked.length, 6);
    // And a true one is found again soon.
    await issuer.rotate();
    assert.ok(await check(await mint()) instanceof Unauthorized);
    await clock.advance(10_000);
    assert.equal(await check(await mint()), "ada");
    assert.equal(endpoint.asked.length, 7);
  });

  for (const [name, broken] of Object.entries(BROKEN)) {
    test(`[AUTH-4] can't be had: ${name} → unavailable, and back by itself`, async () => {
      const { endpoint, published, check, mint } = await bench();
      const token = await mint();
      endpoint.answer = broken;
      for (let i = 0; i < 3; i++) {
        const error = await check(token);
        assert.ok(error instanceof Unavailable, String(error));
        assert.ok(error.cause instanceof Error);
        assert.doesNotMatch(`${error.stack}${error.cause.stack}${error.cause.cause}`, /t0ken/);
      }
      endpoint.answer = published;
      assert.equal(await check(token), "ada");
    });
  }

  for (
    const [name, body] of Object.entries({
      "something else": { active: true },
      "no list of keys": { keys: {} },
      "too many keys": { keys: Array(101).fill({ kty: "EC" }) },
      "keys that are none": { keys: [1] },
    })
  ) {
    test(`[AUTH-4] are ${name} → unavailable`, async () => {
      const { endpoint, check, mint } = await bench();
      endpoint.answer = () => Response.json(body);
      assert.ok(await check(await mint()) instanceof Unavailable);
    });
  }

  test("[AUTH-4] that never come are waited for five seconds, whatever fetch does", async () => {
    for (const answer of [hang, () => new Promise<Response>(() => {})]) {
      const { clock, endpoint, published, check, mint } = await bench();
      const token = await mint();
      endpoint.answer = answer;
      const waiting = [check(token), check(token)];
      await clock.advance(4_999);
      assert.equal(endpoint.asked.length, 1);
      await clock.advance(1);
      for (const error of await Promise.all(waiting)) assert.ok(error instanceof Unavailable);
      assert.equal(clock.pending, 0);
      endpoint.answer = published;
      assert.equal(await check(token), "ada");
      assert.equal(clock.pending, 0);
    }
  });

  test("[AUTH-4] that trickle in are waited for no longer", async () => {
    const { clock, endpoint, check, mint } = await bench();
    endpoint.answer = ({ init }) =>
      new Response(
        new ReadableStream({
          start(controller) {
            controller.enqueue(new TextEncoder().encode('{"keys":['));
            init.signal?.addEventListener("abort", () => controller.error(init.signal?.reason));
          },
        }),
      );
    const waiting = check(await mint());
    await clock.advance(5_000);
    assert.ok(await waiting instanceof Unavailable);
  });

  test("[AUTH-4] outlive an outage for an hour, with somebody told, and then no longer", async () => {
    const { clock, endpoint, published, errors, check, mint } = await bench();
    const token = await mint();
    await check(token);
    endpoint.answer = () => Promise.reject(new TypeError("connection refused"));
    for (let i = 0; i < 59; i++) {
      await clock.advance(MINUTE);
      assert.equal(await check(token), "ada");
      assert.equal(await check(token), "ada");
      await flush();
    }
    assert.equal(endpoint.asked.length, 51);
    assert.equal(errors.length, 50);
    assert.ok(errors.every((error) => error instanceof Unavailable));
    await clock.advance(MINUTE);
    assert.ok(await check(token) instanceof Unavailable);
    endpoint.answer = published;
    assert.equal(await check(token), "ada");
  });

  test("[AUTH-4] an unknown one in an outage may be a new one: unavailable, not refused", async () => {
    const { clock, issuer, endpoint, published, check, mint } = await bench();
    await check(await mint());
    await clock.advance(MINUTE);
    issuer.keys = [await makeKey("new")];
    const token = await mint();
    endpoint.answer = () => new Response(null, { status: 503 });
    for (let i = 0; i < 10; i++) assert.ok(await check(token) instanceof Unavailable);
    await clock.advance(10_000);
    endpoint.answer = published;
    assert.equal(await check(token), "ada");
  });

  test("[AUTH-4] are as many as a hundred", async () => {
    const { issuer, endpoint, check, mint } = await bench();
    const token = await mint();
    const [own] = issuer.jwks.keys;
    const others = Array.from({ length: 99 }, (_, n) => ({ ...own, kid: `other-${n}` }));
    endpoint.answer = () => Response.json({ keys: [...others, own] });
    assert.equal(await check(token), "ada");
  });

  test("[AUTH-4] are asked for at a URL whose query stays out of the error", async () => {
    const { clock, endpoint, mint } = await bench();
    const authenticate = jwt({
      issuer: ISSUER,
      audience: AUDIENCE,
      jwksUri: `${ISSUER}/jwks?key=s3cret`,
      fetch: endpoint.fetch,
      clock,
    });
    endpoint.answer = () => new Response(null, { status: 500 });
    const token = await mint();
    const error = await Promise.resolve(authenticate(withToken(token))).catch((e: unknown) => e);
    assert.ok(error instanceof Unavailable && error.cause instanceof Error);
    assert.match(error.cause.message, /login\.example\/jwks$/);
    assert.doesNotMatch(String(error.cause.stack), /s3cret/);
  });

  test("[AUTH-4] private keys there are the issuer's fault, not the token's", async () => {
    const { issuer, endpoint, check, mint } = await bench();
    const token = await mint();
    const [{ jwk } = { jwk: {} }] = issuer.keys;
    endpoint.answer = () => Response.json({ keys: [{ ...jwk, d: "AAAA" }] });
    const error = await check(token);
    assert.ok(error instanceof Error && !(error instanceof Unauthorized), String(error));
  });
});
