import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DelayLine } from "../../../src/internal/delay_line.ts";
import { DirectConnection } from "../../../src/streams/direct_connection.ts";
import { frame, KEEP_ALIVE } from "../../../src/streams/sse.ts";
import { FakeClock } from "../../support/clock.ts";

const KEEP_ALIVE_MS = 15_000;

function make(bufferBytes: number) {
  const clock = new FakeClock();
  const closed: string[] = [];
  const connection = new DirectConnection({
    bufferBytes,
    keepAlive: new DelayLine(clock, KEEP_ALIVE_MS),
    onClose: (reason) => closed.push(reason),
  });
  const rest = () => new Response(connection.body).text();
  return { clock, closed, connection, rest };
}

describe("DirectConnection", () => {
  test("[STR-10] a message may exceed the buffer if nothing else is in it", async () => {
    const { connection, closed, rest } = make(100);
    const large = "x".repeat(1_000);
    assert.equal(connection.send(large), true);
    assert.equal(connection.send("1"), false);
    assert.deepEqual(closed, ["slow"]);
    assert.equal(await rest(), frame(undefined, large));
  });

  test("[STR-10] messages fill the buffer to its last byte, and no further", async () => {
    const size = frame(undefined, "1").length;
    const { connection, closed, rest } = make(3 * size);
    for (const text of ["1", "2", "3"]) assert.equal(connection.send(text), true);
    assert.equal(connection.send("4"), false);
    assert.deepEqual(closed, ["slow"]);
    assert.equal(await rest(), ["1", "2", "3"].map((text) => frame(undefined, text)).join(""));
  });

  test("[ERA-5, STR-10] an unread connection piles no comments up", async () => {
    const { clock, connection, rest } = make(100);
    await clock.advance(100 * KEEP_ALIVE_MS);
    connection.close("shutdown");
    const text = await rest();
    assert.ok(text.startsWith(KEEP_ALIVE));
    assert.ok(text.length <= 100, `${text.length} bytes of comments`);
  });

  test("[ERA-5] comments come again and again, and not after the end", async () => {
    const { clock, connection } = make(1_000);
    const reader = connection.body.getReader();
    for (let i = 0; i < 3; i++) {
      const next = reader.read();
      await clock.advance(KEEP_ALIVE_MS);
      assert.equal(new TextDecoder().decode((await next).value), KEEP_ALIVE);
    }
    await reader.cancel();
    await clock.advance(KEEP_ALIVE_MS);
    assert.equal(clock.pending, 0);
  });
});
