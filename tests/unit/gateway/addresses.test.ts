import assert from "node:assert/strict";
import { describe, test } from "node:test";
import * as fc from "fast-check";
import { extensionsForUpstreams } from "../../../src/gateway/shared/extensions.ts";
import { KnownAddresses } from "../../../src/gateway/session/known_addresses.ts";
import { Addresses, templateStart } from "../../../src/gateway/view/addresses.ts";
import { checkUpstreamName } from "../../../src/gateway/view/names.ts";
import { property } from "../../faults/runs.ts";

const names = new Map(["b", "sales", "a.b"].map((name) => [name, name]));

describe("Addresses", () => {
  const addresses = new Addresses("__", names);

  test("[APP-1] the upstream's name follows the scheme, and what can't be told apart gets no form", () => {
    for (
      const [upstream, uri, expected] of [
        ["sales", "ui://chart/page.html", "ui://sales__chart/page.html"],
        ["b", "ui:///page.html", "ui://b__/page.html"],
        ["b", "ui://b__x", "ui://b__b__x"],
        ["b", "memo://_x", "memo://b___x"],
        ["b", "file:///srv/x", "file://b__/srv/x"],
        ["b", "urn:isbn:1", "urn:b__isbn:1"],
        ["b", "notes/1", "b__notes/1"],
        ["b", "memo://{id}{?q}", "memo://b__{id}{?q}"],
        ["b", "{+all}", "b__{+all}"],
        ["b", "ui://", undefined],
        ["b", "https://docs.example/", undefined],
        ["b", "HTTP://docs.example/", undefined],
      ] as const
    ) {
      const address = addresses.qualified({ upstream, uri });
      assert.equal(address, expected);
      if (address !== undefined) assert.deepEqual(addresses.split(address), { upstream, uri });
    }
    // A template without a literal start has its scheme after it is expanded.
    assert.deepEqual(addresses.split("b__g://end"), { upstream: "b", uri: "g://end" });
    for (const uri of ["ui://chart", "ui://c__chart", "ui://x/b__y", "https://b__docs.example/"]) {
      assert.equal(addresses.split(uri), undefined, uri);
    }
  });

  const part = fc.stringMatching(/^[A-Za-z0-9_.{}:/?#-]{0,12}$/);
  const starts = fc.constantFrom("ui://", "memo://", "a:", "a.b:", "1x:", "");
  const name = fc.stringMatching(/^[A-Za-z0-9_.-]{1,6}$/);
  property(
    "[APP-1] every form leads back to its upstream and address, and keeps the scheme",
    fc.record({
      names: fc.tuple(name, name),
      separator: fc.constantFrom("__", ".", "-", "_.", "b"),
      uri: fc.tuple(starts, part).map((parts) => parts.join("")),
    }),
    { everyday: 2000, long: 200_000 },
    async ({ names: [upstream, other], separator, uri }) => {
      try {
        for (const each of [upstream, other]) checkUpstreamName(each, separator);
      } catch {
        return;
      }
      const one = new Addresses(separator, new Map([[upstream, 1], [other, 1]]));
      const address = one.qualified({ upstream, uri });
      if (address === undefined) return;
      assert.deepEqual(one.split(address), { upstream, uri });
      if (uri.startsWith("ui://")) assert.ok(address.startsWith("ui://"));
      if (other !== upstream) assert.notEqual(one.qualified({ upstream: other, uri }), address);
    },
  );

  test("[APP-1] templates collide by their literal start", () => {
    assert.equal(templateStart("memo://{id}"), "memo://");
    assert.equal(templateStart("memo://1"), "memo://1");
  });
});

test("[APP-3] addresses are known for one upstream each, as many as may be", () => {
  const known = new KnownAddresses(2);
  assert.equal(known.claim("x://1", "a"), true);
  assert.equal(known.claim("x://1", "b"), false);
  assert.equal(known.owner("x://1"), "a");
  // What one upstream claims makes nobody forget another's.
  for (let n = 0; n < 10; n++) known.claim(`y://${n}`, "b");
  assert.deepEqual(
    ["x://1", "y://7", "y://8", "y://9"].map((uri) => known.owner(uri)),
    ["a", undefined, "b", "b"],
  );
  // What was used last is kept longest.
  known.claim("y://8", "b");
  known.claim("y://10", "b");
  assert.deepEqual(["y://8", "y://9"].map((uri) => known.owner(uri)), ["b", undefined]);
});

test("[APP-6] too many extensions, or too large ones, are none", () => {
  const many = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, n) => [`com.example/${n}`, {}]));
  assert.equal(Object.keys(extensionsForUpstreams(many(32)) ?? {}).length, 32);
  assert.equal(extensionsForUpstreams(many(33)), undefined);
  const sized = (length: number) => ({ "com.example/a": { x: "x".repeat(length) } });
  assert.notEqual(extensionsForUpstreams(sized(8000)), undefined);
  assert.equal(extensionsForUpstreams(sized(8192)), undefined);
  for (const odd of [undefined, null, [], "x", { "com.example/a": true }]) {
    assert.equal(extensionsForUpstreams(odd), undefined);
  }
});
