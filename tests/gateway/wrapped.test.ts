/** What wraps an upstream passes everything else on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { cached, lazy, type Upstream } from "../../src/gateway/mod.ts";
import { withShare } from "../../src/gateway/client/common_sessions.ts";
import { checkShare } from "../../src/gateway/client/share_options.ts";

const signIn: NonNullable<Upstream["signIn"]> = {
  begin: () => Promise.reject(new Error("Not here")),
  settled: () => Promise.resolve(false),
  isOpen: () => Promise.resolve(false),
  cancel: () => Promise.resolve(),
};

/** An upstream that has every member that may be left out, but for `cache` and `share`. */
const whole: Upstream = {
  kind: "http",
  identity: "whole",
  lists: "lazy",
  signIn,
  forwards: ["x-team"],
  usersBy: "accounts",
  programs: 3,
  endUnused: () => Promise.resolve(),
  open: () => Promise.reject(new Error("Opened")),
  toolScopes: (tool) => [`${tool}:use`],
  longCalls: () => ({ afterMs: 7 }) as never, // only passed on
  refuseLongCalls() {
    throw new TypeError("Refused");
  },
  answerOnce: () => "kept" as never, // only passed on
  refuseAnswersOnce() {
    throw new TypeError("Refused too");
  },
};

const WRAPPERS: Readonly<Record<string, (upstream: Upstream) => Upstream>> = {
  lazy,
  cached: (upstream) => cached(upstream, { resources: true }),
  shared: (upstream) => withShare(upstream, checkShare("http()", { share: "user" })),
  all: (upstream) =>
    lazy(cached(withShare(upstream, checkShare("http()", { share: "user" })), { resources: true })),
};

for (const [name, wrap] of Object.entries(WRAPPERS)) {
  test(`what an upstream has is passed on: ${name}`, () => {
    const upstream = wrap(whole);
    assert.equal(upstream.signIn, signIn);
    assert.deepEqual(upstream.forwards, ["x-team"]);
    assert.equal(upstream.usersBy, "accounts");
    assert.equal(upstream.lists, "lazy");
    assert.deepEqual(upstream.toolScopes?.("a"), ["a:use"]);
    assert.deepEqual(upstream.longCalls?.("a"), { afterMs: 7 });
    assert.equal(upstream.answerOnce?.("a"), "kept");
    assert.throws(() => upstream.refuseLongCalls?.(), /Refused/);
    assert.throws(() => upstream.refuseAnswersOnce?.(), /Refused too/);
    assert.equal(upstream.programs, name === "shared" || name === "all" ? 0 : 3);
  });
}
