import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PendingAnswer } from "../../../src/gateway/session/in_time.ts";
import { ListCache, type UpstreamList } from "../../../src/gateway/session/list_cache.ts";
import { FakeClock, flush } from "../../support/clock.ts";

const LIST: UpstreamList = [{ name: "a" }];
const ALL_RIGHTS = ["all", "few"];

function pendingList() {
  const { promise, resolve } = Promise.withResolvers<UpstreamList>();
  const closing = new AbortController();
  const pending = new PendingAnswer(() => promise, closing.signal, () => () => {});
  return { resolve, closing, pending };
}

describe("ListCache", () => {
  test("[AUTH-7] keeps lists, and those on their way, for their own rights alone", async () => {
    const cache = new ListCache(new FakeClock());
    const { pending, resolve } = pendingList();
    cache.set("all", "up", "tools", 0, LIST, 1_000);
    cache.setPending("all", "up", "prompts", pending);
    assert.equal(cache.get("all", "up", "tools"), LIST);
    assert.equal(cache.get("few", "up", "tools"), undefined);
    assert.equal(cache.getPending("all", "up", "prompts"), pending);
    assert.equal(cache.getPending("few", "up", "prompts"), undefined);
    resolve(LIST);
    await flush();
    assert.equal(cache.getPending("all", "up", "prompts"), undefined);
  });

  test("[GTW-14] a list expires at its time", async () => {
    const clock = new FakeClock();
    const cache = new ListCache(clock);
    cache.set("all", "up", "tools", 0, LIST, 1_000);
    await clock.advance(999);
    assert.equal(cache.get("all", "up", "tools"), LIST);
    await clock.advance(1);
    assert.equal(cache.get("all", "up", "tools"), undefined);
  });

  test("[GTW-8, AUTH-7] a change invalidates a list for all rights, and what was fetched before it", () => {
    const cache = new ListCache(new FakeClock());
    for (const rights of ALL_RIGHTS) cache.set(rights, "up", "tools", 0, LIST, Infinity);
    cache.set("few", "up", "prompts", 0, LIST, Infinity);
    cache.invalidate("up", ["tools"]);
    for (const rights of ALL_RIGHTS) assert.equal(cache.get(rights, "up", "tools"), undefined);
    assert.equal(cache.get("few", "up", "prompts"), LIST);
    cache.set("all", "up", "tools", 0, LIST, Infinity);
    assert.equal(cache.get("all", "up", "tools"), undefined);
    cache.set("all", "up", "tools", 1, LIST, Infinity);
    assert.equal(cache.get("all", "up", "tools"), LIST);
  });

  test("[GTW-14] a list that nobody waited for is not waited for again, and doesn't end a newer one", async () => {
    const cache = new ListCache(new FakeClock());
    const { pending: old, closing, resolve } = pendingList();
    const { pending: newer } = pendingList();
    cache.setPending("all", "up", "tools", old);
    closing.abort();
    assert.equal(cache.getPending("all", "up", "tools"), undefined);
    cache.setPending("all", "up", "tools", newer);
    resolve(LIST);
    await flush();
    assert.equal(cache.getPending("all", "up", "tools"), newer);
  });

  test("[GTW-11] an upstream that is removed is forgotten for all rights, others aren't", () => {
    const cache = new ListCache(new FakeClock());
    for (const upstream of ["up", "other"]) {
      for (const rights of ALL_RIGHTS) {
        cache.set(rights, upstream, "tools", 0, LIST, Infinity);
        cache.setPending(rights, upstream, "prompts", pendingList().pending);
      }
    }
    cache.remove("up");
    for (const rights of ALL_RIGHTS) {
      assert.equal(cache.get(rights, "up", "tools"), undefined);
      assert.equal(cache.getPending(rights, "up", "prompts"), undefined);
      assert.equal(cache.get(rights, "other", "tools"), LIST);
      assert.ok(cache.getPending(rights, "other", "prompts"));
    }
  });
});
