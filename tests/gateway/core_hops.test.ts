import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { HOPS_HEADER, hopsOf, nextHops } from "../../src/gateway/shared/hops.ts";
import { gateway } from "../../src/gateway/mod.ts";
import { McpError } from "../../src/protocol/errors.ts";
import { ask, callOf, count, FakeUpstream, sessionOf, textOf, tools } from "./core_support.ts";

function headers(...values: string[]): Headers {
  const headers = new Headers();
  for (const value of values) headers.append(HOPS_HEADER, value);
  return headers;
}

describe("the count of gateways on the way", () => {
  test("[GTW-6] is none where nothing is said, and the largest where much is", () => {
    assert.equal(hopsOf(headers()), 0);
    assert.equal(hopsOf(headers("0")), 0);
    assert.equal(hopsOf(headers("4")), 4);
    assert.equal(hopsOf(headers("1", "4", "2")), 4);
    assert.equal(hopsOf(headers("1, 4,2")), 4);
  });

  test("[GTW-6] is refused from the limit on, however it is written", () => {
    for (const values of [["5"], ["6"], ["999999"], ["0", "5"], ["1,5"], ["05"]]) {
      assert.throws(() => hopsOf(headers(...values)), McpError, String(values));
    }
  });

  test("[GTW-6] is refused where it can't be read, and not taken for none", () => {
    for (
      const value of ["", "-1", "x", "1;2", "1.0", "0x1", "1e0", ",", "1,", "1234567", "１", "+1"]
    ) {
      const given = { get: () => value } as unknown as Headers; // not all are valid in a header
      assert.throws(() => hopsOf(given), McpError, JSON.stringify(value));
    }
  });

  test("[GTW-6] rises by one at every gateway", () => {
    const request = (given: Headers) => new Request("http://gateway.example", { headers: given });
    assert.equal(nextHops(request(headers())), "1");
    assert.equal(nextHops(request(headers("2", "3"))), "4");
    assert.throws(() => nextHops(request(headers("5"))), McpError);
  });

  test("[GTW-6] keeps a request that came too far from every upstream", async () => {
    const upstream = new FakeUpstream({ answers: tools({ count }) });
    const gw = gateway({ upstreams: { up: upstream } });
    const call = (hops: string) =>
      ask(gw, callOf("up__count", sessionOf("a"), { headers: { [HOPS_HEADER]: hops } }));
    await assert.rejects(call("5"), { code: -32000 });
    await assert.rejects(call("nonsense"), { code: -32000 });
    assert.equal(upstream.sessions.length, 0);
    assert.equal(textOf(await call("4")), "1");
    await gw.close();
  });
});
