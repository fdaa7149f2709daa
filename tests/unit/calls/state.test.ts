import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { StateSealer } from "../../../src/calls/state/state.ts";
import { FakeClock } from "../../support/clock.ts";

const KEY = "0123456789abcdef0123456789abcdef";
const OTHER = "fedcba9876543210fedcba9876543210";
const TTL = 300_000;

function sealer(clock: FakeClock, ...keys: string[]): StateSealer {
  return new StateSealer({ keys, ttlMs: TTL, clock });
}

const binding = {
  owner: "alice",
  method: "tools/call",
  params: { name: "delete", arguments: { path: "/a", deep: { x: 1, y: [1, 2] } } },
};

describe("StateSealer", () => {
  test("[ASK-5] a state opens for the same request of the same principal", async () => {
    const states = sealer(new FakeClock(), KEY);
    const state = await states.seal({ answers: { a: 1 } }, binding);
    assert.match(state, /^[A-Za-z0-9_-]+$/);
    assert.deepEqual(await states.open(state, binding), { answers: { a: 1 } });
  });

  test("[ASK-5] no two states begin alike: a nonce that repeats would give the key away", async () => {
    const clock = new FakeClock();
    // Two endpoints may have one key.
    const sealers = [sealer(clock, KEY), sealer(clock, KEY)];
    const states = await Promise.all(
      Array.from({ length: 100 }, (_, n) => sealers[n % 2]?.seal({ same: true }, binding)),
    );
    // 12 bytes are 16 characters.
    assert.equal(new Set(states.map((state) => state?.slice(0, 16))).size, 100);
  });

  test("[ASK-5] the order of keys and what differs between rounds don't matter", async () => {
    const states = sealer(new FakeClock(), KEY);
    const state = await states.seal({}, binding);
    const params = {
      requestState: state,
      inputResponses: {},
      _meta: { progressToken: 7 },
      arguments: { deep: { y: [1, 2], x: 1 }, path: "/a" },
      name: "delete",
    };
    assert.deepEqual(await states.open(state, { ...binding, params }), {});
  });

  const foreign = {
    "another principal": { ...binding, owner: "bob" },
    "another method": { ...binding, method: "prompts/get" },
    "another tool": { ...binding, params: { ...binding.params, name: "list" } },
    "other arguments": {
      ...binding,
      params: { name: "delete", arguments: { path: "/b", deep: { x: 1, y: [1, 2] } } },
    },
    "arguments in another order": {
      ...binding,
      params: { name: "delete", arguments: { path: "/a", deep: { x: 1, y: [2, 1] } } },
    },
  };
  for (const [what, other] of Object.entries(foreign)) {
    test(`[ASK-5] a state doesn't open for ${what}`, async () => {
      const states = sealer(new FakeClock(), KEY);
      assert.equal(await states.open(await states.seal({}, binding), other), undefined);
    });
  }

  test("[ASK-5] a state that was changed anywhere doesn't open", async () => {
    const states = sealer(new FakeClock(), KEY);
    const state = await states.seal({ answers: {} }, binding);
    for (let i = 0; i < state.length - 1; i++) {
      const changed = state.slice(0, i) + (state[i] === "A" ? "B" : "A") + state.slice(i + 1);
      assert.equal(await states.open(changed, binding), undefined, `at ${i}`);
    }
    for (const nonsense of ["", "A", "….", state.slice(1), `${state}AAAA`, "A".repeat(100)]) {
      assert.equal(await states.open(nonsense, binding), undefined, nonsense);
    }
  });

  test("[ASK-5] a state expires", async () => {
    const clock = new FakeClock();
    const states = sealer(clock, KEY);
    const state = await states.seal({}, binding);
    await clock.advance(TTL - 1);
    assert.deepEqual(await states.open(state, binding), {});
    await clock.advance(1);
    assert.equal(await states.open(state, binding), undefined);
  });

  test("[ASK-5] keys rotate: the first seals, all open", async () => {
    const clock = new FakeClock();
    const before = sealer(clock, KEY);
    const during = sealer(clock, OTHER, KEY);
    const after = sealer(clock, OTHER);
    const old = await before.seal({ n: 1 }, binding);
    const young = await during.seal({ n: 2 }, binding);
    assert.deepEqual(await during.open(old, binding), { n: 1 });
    assert.equal(await after.open(old, binding), undefined);
    assert.deepEqual(await after.open(young, binding), { n: 2 });
    assert.equal(await before.open(young, binding), undefined);
  });

  test("[ASK-5] without keys each sealer has its own", async () => {
    const clock = new FakeClock();
    const state = await sealer(clock).seal({}, binding);
    assert.equal(await sealer(clock).open(state, binding), undefined);
  });
});
