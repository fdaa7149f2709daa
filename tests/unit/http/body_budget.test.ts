import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type GateLimits, gateSettings } from "../../../src/http/gates/options.ts";
import { Gates } from "../../../src/http/gates/order.ts";
import { Inbound } from "../../../src/http/inbound.ts";
import type { Refusal, Reply } from "../../../src/http/reply.ts";
import { FakeClock, flush } from "../../support/clock.ts";
import { PING } from "./support.ts";

const KIB = 1024;
const encoder = new TextEncoder();

/** A body that the test sends piece by piece. */
class Sender {
  readonly inbound: Inbound;
  cancelled = 0;
  /** What the gates answered; `undefined` until then, `"passed"` if the body went through. */
  outcome: Reply | "passed" | undefined;
  #controller!: ReadableStreamDefaultController<Uint8Array>;

  /** @param declared The length that is declared; none when left out */
  constructor(gates: Gates, declared?: number) {
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => void (this.#controller = controller),
      cancel: () => void this.cancelled++,
    });
    const headers: Record<string, string> = { "content-type": "application/json" };
    if (declared !== undefined) headers["content-length"] = `${declared}`;
    const init = { method: "POST", headers, body, duplex: "half" };
    this.inbound = new Inbound(new Request("http://a/mcp", init as RequestInit));
    void this.#read(gates);
  }

  async #read(gates: Gates): Promise<void> {
    const body = await gates.readBody(this.inbound);
    this.outcome = gates.passBody(this.inbound, body) ?? "passed";
  }

  /** Sends spaces. */
  async send(bytes: number): Promise<void> {
    this.#controller.enqueue(new Uint8Array(bytes).fill(0x20));
    await flush();
  }

  /** Sends a message, and ends the body. */
  async finish(text = PING): Promise<void> {
    this.#controller.enqueue(encoder.encode(text));
    this.#controller.close();
    await flush();
  }

  async fail(): Promise<void> {
    this.#controller.error(new Error("Connection reset"));
    await flush();
  }

  get status(): number | undefined {
    return typeof this.outcome === "object" ? this.outcome.status : undefined;
  }
}

function gatesOf(limits: GateLimits): { readonly gates: Gates; readonly clock: FakeClock } {
  const clock = new FakeClock();
  return { gates: new Gates(gateSettings({ limits }), clock), clock };
}

/** Checks that so many bytes are left, and not one more. */
async function assertLeft(gates: Gates, bytes: number): Promise<void> {
  const lengths = Array(Math.floor(bytes / (64 * KIB))).fill(64 * KIB);
  if (bytes % (64 * KIB) > 0) lengths.push(bytes % (64 * KIB));
  const senders = lengths.map((length) => new Sender(gates, length));
  await flush();
  assert.ok(senders.every(({ outcome }) => outcome === undefined), "less was left");
  const more = new Sender(gates, 1);
  await flush();
  assert.equal(senders[0]?.status, 503, "more was left");
  for (const sender of [...senders.slice(1), more]) {
    await sender.fail();
    assert.equal(sender.status, 400);
  }
}

describe("the budget of bodies on their way", () => {
  for (const declared of [undefined, 100 * KIB]) {
    const way = declared === undefined ? "chunked" : "declared";
    test(`[STR-16] past it, the ${way} body that takes longest gets 503, and the others arrive`, async () => {
      const { gates } = gatesOf({ bodyBytes: 128 * KIB, totalBodyBytes: 256 * KIB });
      const senders = [0, 1, 2, 3].map(() => new Sender(gates, declared));
      const [oldest, second, third, newest] = senders as [Sender, Sender, Sender, Sender];
      // In another order than they began.
      for (const sender of [newest, oldest, third]) await sender.send(80 * KIB);
      assert.deepEqual(senders.map(({ outcome }) => outcome), Array(4).fill(undefined));
      await second.send(80 * KIB);
      // A reply of type Refusal, since its status is that of one.
      const refused = oldest.outcome as Refusal;
      assert.equal(refused.status, 503);
      assert.equal(refused.reason, "body-budget");
      assert.equal(refused.headers["retry-after"], "1");
      assert.equal(refused.headers.connection, "close");
      assert.deepEqual(JSON.parse(String(refused.body)), {
        jsonrpc: "2.0",
        id: null,
        error: { code: -32000, message: "Server busy" },
      });
      assert.equal(oldest.cancelled, 1);
      for (const sender of [second, third, newest]) {
        await sender.finish();
        assert.equal(sender.outcome, "passed");
        assert.equal(sender.cancelled, 0);
      }
    });
  }

  test("[STR-16] as many of the oldest get 503 as one large piece needs", async () => {
    const { gates } = gatesOf({ bodyBytes: 128 * KIB, totalBodyBytes: 128 * KIB });
    const small = Array.from({ length: 12 }, () => new Sender(gates, 10 * KIB));
    const large = new Sender(gates);
    await flush();
    assert.ok(small.every(({ outcome }) => outcome === undefined));
    await large.send(48 * KIB);
    assert.deepEqual(
      small.map(({ status }) => status),
      [...Array(4).fill(503), ...Array(8).fill(undefined)],
    );
    await large.finish();
    assert.equal(large.outcome, "passed");
  });

  test("[STR-16] a large body takes what has arrived of it, not what it declares", async () => {
    const { gates } = gatesOf({ bodyBytes: 128 * KIB, totalBodyBytes: 256 * KIB });
    const silent = Array.from({ length: 100 }, () => new Sender(gates, 128 * KIB));
    const honest = new Sender(gates, 100 * KIB);
    await honest.send(100 * KIB - PING.length);
    await honest.finish();
    assert.equal(honest.outcome, "passed");
    assert.deepEqual(new Set(silent.map(({ outcome }) => outcome)), new Set([undefined]));
  });

  test("[STR-16] a small body takes what it declares, and silent ones lock out nobody", async () => {
    const { gates } = gatesOf({ bodyBytes: 64 * KIB, totalBodyBytes: 256 * KIB });
    const silent = Array.from({ length: 100 }, () => new Sender(gates, 64 * KIB));
    await flush();
    const waiting = () => silent.filter(({ outcome }) => outcome === undefined).length;
    assert.equal(waiting(), 4);
    const honest = new Sender(gates, PING.length);
    await honest.finish();
    assert.equal(honest.outcome, "passed");
    assert.equal(waiting(), 3);
    assert.deepEqual(new Set(silent.slice(0, 97).map(({ status }) => status)), new Set([503]));
  });

  const ends: Record<string, (sender: Sender, clock: FakeClock, gates: Gates) => Promise<number>> =
    {
      async "is refused as it is no JSON"(sender) {
        await sender.finish("{");
        return 400;
      },
      async "breaks off"(sender) {
        await sender.fail();
        return 400;
      },
      async "is too large"(sender) {
        await sender.send(128 * KIB);
        return 413;
      },
      async "is too slow"(sender, clock) {
        await clock.advance(30_000);
        // What comes later counts no more.
        await sender.fail();
        return 408;
      },
    };
  for (const [what, end] of Object.entries(ends)) {
    for (const declared of [undefined, 100 * KIB, 20 * KIB]) {
      if (what === "is too large" && declared === 20 * KIB) continue;
      test(`[STR-16] gives back what a body of ${declared ?? "unknown"} bytes took that ${what}`, async () => {
        const { gates, clock } = gatesOf({ bodyBytes: 128 * KIB, totalBodyBytes: 256 * KIB });
        for (let n = 0; n < 3; n++) {
          const sender = new Sender(gates, declared);
          await sender.send(10 * KIB);
          const status = await end(sender, clock, gates);
          assert.equal(sender.status, status);
          gates.releaseBody(sender.inbound);
          gates.releaseBody(sender.inbound);
        }
        await assertLeft(gates, 256 * KIB);
      });
    }
  }

  test("[STR-16] a whole body keeps what it took until it is released, once", async () => {
    const { gates } = gatesOf({ bodyBytes: 128 * KIB, totalBodyBytes: 256 * KIB });
    for (const declared of [undefined, 100 * KIB, 20 * KIB]) {
      const whole = new Sender(gates, declared);
      await whole.send((declared ?? 20 * KIB) - PING.length);
      await whole.finish();
      assert.equal(whole.outcome, "passed");
      if (declared !== undefined) await assertLeft(gates, 256 * KIB - declared);
      gates.releaseBody(whole.inbound);
      await assertLeft(gates, 256 * KIB);
      gates.releaseBody(whole.inbound);
      await assertLeft(gates, 256 * KIB);
    }
  });

  test("[STR-16] while whole bodies take all of it, a new one gets 503", async () => {
    const { gates } = gatesOf({ bodyBytes: 128 * KIB, totalBodyBytes: 128 * KIB });
    const whole = new Sender(gates, 128 * KIB);
    await whole.send(128 * KIB - PING.length);
    await whole.finish();
    for (const declared of [undefined, PING.length]) {
      const late = new Sender(gates, declared);
      await late.finish();
      assert.equal(late.status, 503);
    }
    gates.releaseBody(whole.inbound);
    const later = new Sender(gates, PING.length);
    await later.finish();
    assert.equal(later.outcome, "passed");
  });

  test("[STR-16] the budget is 64 MiB, or four of the largest bodies", () => {
    const total = (limits: GateLimits) => gateSettings({ limits }).totalBodyBytes;
    assert.equal(total({}), 64 * KIB * KIB);
    assert.equal(total({ bodyBytes: 50 * KIB * KIB }), 200 * KIB * KIB);
    assert.equal(total({ bodyBytes: Infinity }), Infinity);
    assert.equal(total({ totalBodyBytes: KIB * KIB }), KIB * KIB);
  });

  test("[STR-16] a budget smaller than one body is misuse", () => {
    for (const totalBodyBytes of [0, 1.5, NaN, KIB * KIB - 1]) {
      assert.throws(() => gateSettings({ limits: { totalBodyBytes } }), RangeError);
    }
    // @ts-expect-error not a number
    assert.throws(() => gateSettings({ limits: { totalBodyBytes: "1" } }), TypeError);
  });
});
