import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { checkOptions } from "../../../src/gateway/options.ts";
import { BusyError, Capacity } from "../../../src/gateway/session/capacity.ts";
import { FakeClock, flush } from "../../support/clock.ts";

describe("Capacity", () => {
  test("[GTW-14] says which limit is reached, and leaves the reason of an abort as it is", async () => {
    const clock = new FakeClock();
    const limits = { programs: 1, programsPerPrincipal: 1 };
    const capacity = new Capacity(checkOptions({ upstreams: {}, clock, limits }));
    const stop = new AbortController();
    const take = async () => await capacity.take("programs", "ada", stop.signal);
    const release = await take();
    const busy = assert.rejects(
      take(),
      (error) => error instanceof BusyError && error.limit === "programs",
    );
    await clock.advance(2_000);
    await busy;
    const reason = new Error("Gone");
    const aborted = assert.rejects(take(), reason);
    await flush();
    stop.abort(reason);
    await aborted;
    release();
    release();
    assert.deepEqual([capacity.taken("programs"), clock.pending], [0, 0]);
  });
});
