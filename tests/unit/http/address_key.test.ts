import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { addressKey, tokenBucket } from "../../../mod.ts";
import { FakeClock } from "../../support/clock.ts";

describe("addressKey()", () => {
  const keys: Readonly<Record<string, readonly string[]>> = {
    "192.0.2.1": [
      "192.0.2.1",
      " 192.0.2.1 ",
      "192.0.2.1:443",
      "192.0.2.1:0",
      "[192.0.2.1]:443",
      "::ffff:192.0.2.1",
      "::FFFF:192.0.2.1",
      "::ffff:c000:201",
      "::ffff:C000:0201",
      "0:0:0:0:0:ffff:192.0.2.1",
      "0000:0000:0000:0000:0000:ffff:c000:0201",
      "0::ffff:192.0.2.1",
      "[::ffff:192.0.2.1]",
      "[::ffff:192.0.2.1]:8080",
      "::ffff:192.0.2.1%eth0",
    ],
    "2001:db8:0:1::/64": [
      "2001:db8:0:1::",
      "2001:db8:0:1::1",
      "2001:DB8:0:1::1",
      "2001:0db8:0000:0001:ffff:ffff:ffff:ffff",
      "2001:db8::1:0:0:0:1",
      "2001:db8:0:1:0:0:192.0.2.1",
      "[2001:db8:0:1::1]",
      "[2001:db8:0:1::1]:8080",
      "[2001:db8:0:1::1%en0]:8080",
      "2001:db8:0:1::1%en0",
      "2001:db8:0:1:1:2:3::",
    ],
    "fe80:0:0:0::/64": ["fe80::1", "FE80::1%eth0", "fe80::2%25eth1", "[fe80::1%5]"],
    "0:0:0:0::/64": ["::", "::1", "[::1]:80", "0:0:0:0:0:0:0:1", "::192.0.2.1"],
    "2001:0:0:0::/64": ["2001::", "2001::1", "2001:0:0:0:0:0:0:0"],
    "2001:db8:0:2::/64": ["2001:db8:0:2::1"],
  };
  for (const [key, addresses] of Object.entries(keys)) {
    test(`[GATE-4] is ${key} for all its spellings`, () => {
      for (const address of addresses) assert.equal(addressKey(address), key, address);
    });
  }

  test("[GATE-4] leaves what is no address as it is, in lower case and not too long", () => {
    const others = [
      "unknown",
      "",
      "host.example",
      "host.example:80",
      "1.2.3",
      "1.2.3.4.5",
      "256.1.1.1",
      "01.2.3.4",
      "1.2.3.4:",
      "1.2.3.4:123456",
      "1.2.3.4:a",
      ":",
      ":::",
      "1::2::3",
      "1:2:3:4:5:6:7",
      "1:2:3:4:5:6:7:8:9",
      "1:2:3:4:5:6:7:8::",
      "::12345",
      "::g",
      "::1.2.3.4:5",
      "::1.2.3.400",
      "1.2.3.4::",
      "[::1",
      "::1]",
      "[::1]a",
      "[::1]:",
      "[]",
      "%eth0",
      "[unix]",
    ];
    for (const other of others) assert.equal(addressKey(other), other, other);
    assert.equal(addressKey("UNKNOWN"), "unknown");
    assert.equal(addressKey("x".repeat(5_000)).length, 200);
    assert.equal(addressKey(`fe80::1%${"x".repeat(5_000)}`), "fe80:0:0:0::/64");
  });

  test("[GATE-4] is the same for every address of a /64, and another for the next", () => {
    const group = fc.integer({ min: 0, max: 0xffff });
    fc.assert(fc.property(
      fc.tuple(group, group, group, group),
      fc.tuple(group, group, group, group),
      (prefix, host) => {
        const text = (groups: number[]) => groups.map((one) => one.toString(16)).join(":");
        const isMapped = [...prefix, host[0]].every((one) => one === 0) && host[1] === 0xffff;
        fc.pre(!isMapped);
        // As URLs write it, shortened.
        const short = new URL(`http://[${text([...prefix, ...host])}]`).hostname;
        const key = `${text(prefix)}::/64`;
        assert.equal(addressKey(text([...prefix, ...host])), key);
        assert.equal(addressKey(short), key);
        const next: [number, ...number[]] = [prefix[0] ^ 1, ...prefix.slice(1)];
        assert.notEqual(addressKey(text([...next, ...host])), key);
      },
    ));
  });

  test("[GATE-4] any text has a key", () => {
    fc.assert(fc.property(
      fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-f:.[\]%]*$/)),
      (text) => {
        const key = addressKey(text);
        assert.ok(key.length <= 200);
        assert.equal(addressKey(key.endsWith("/64") ? key.slice(0, -3) : key), key);
      },
    ));
  });

  test("[GATE-4] a limiter by address limits a /64 as one", () => {
    const limiter = tokenBucket({
      perSecond: 1,
      burst: 3,
      key: (request) => addressKey(request.headers.get("x-real-ip") ?? "unknown"),
      clock: new FakeClock(),
    });
    const check = (address: string) => {
      const request = new Request("http://a/", { headers: { "x-real-ip": address } });
      return (limiter.check(request, undefined) as { readonly allowed: boolean }).allowed; // not async
    };
    const allowed = Array.from({ length: 100 }, (_, n) => check(`2001:db8::${n.toString(16)}`));
    assert.equal(allowed.filter((one) => one).length, 3);
    assert.ok(check("2001:db8:0:1::1"));
  });
});
