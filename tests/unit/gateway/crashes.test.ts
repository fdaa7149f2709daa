import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Crashes } from "../../../src/gateway/session/crashes.ts";
import { UpstreamError } from "../../../src/gateway/shared/upstream_error.ts";
import { FakeClock } from "../../support/clock.ts";

const ENDED = new UpstreamError("closed", { detail: "it exited with 7" });

describe("Crashes", () => {
  test("[GTW-17] waits grow to half a minute, and by a quarter at most", async () => {
    for (const [random, factor] of [[0, 1], [1, 1.25]] as const) {
      const clock = new FakeClock();
      const crashes = new Crashes(clock, { random: () => random });
      const waits: number[] = [];
      for (let n = 0; n < 8; n++) {
        const { retryAt } = crashes.add("up", "ada", ENDED);
        waits.push((retryAt - clock.now()) / factor);
        await clock.advance(retryAt - clock.now());
      }
      assert.deepEqual(waits, [0, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
    }
  });

  test("[GTW-17] a crash is forgotten after a minute, the oldest beyond the bound, and with its upstream", async () => {
    const clock = new FakeClock();
    const crashes = new Crashes(clock, { random: () => 0, most: 2 });
    crashes.add("up", "ada", ENDED);
    assert.equal(crashes.add("up", "ada", ENDED).count, 2);
    assert.equal(crashes.add("up", "ada", ENDED, 60_000).count, 1);
    await clock.advance(59_999);
    assert.equal(crashes.get("up", "ada")?.count, 1);
    await clock.advance(1);
    assert.equal(crashes.get("up", "ada"), undefined);
    for (const owner of ["ada", "bob", "cy"]) crashes.add("up", owner, ENDED);
    assert.equal(crashes.size, 2);
    assert.equal(crashes.get("up", "ada"), undefined);
    crashes.add("upper", "cy", ENDED);
    crashes.removeAll("up");
    assert.equal(crashes.get("up", "cy"), undefined);
    assert.equal(crashes.get("upper", "cy")?.count, 1);
  });
});
