/**
 * The simulated Redis faces the contracts that the real one faces.
 *
 * @module
 */
import { describe } from "node:test";
import { contracts } from "../../contracts/redis_contracts.ts";
import type { TestClient } from "../../support/redis.ts";
import type { NodeRedisClient } from "../../../src/redis/mod.ts";
import { flush } from "../../support/clock.ts";
import { SimulatedNetwork } from "./client.ts";

/** Connects to a server of its own, without delay. */
function connect(): TestClient<NodeRedisClient> {
  const network = new SimulatedNetwork(() => Date.now());
  const inner = network.client({ carry: (_lane, callback) => queueMicrotask(callback) });
  const sent: (readonly string[])[] = [];
  const closeDuplicates = () => inner.subscribers.forEach((each) => each.destroy());
  return {
    sent,
    duplicates: inner.subscribers,
    closeDuplicates,
    async settle() {
      for (let i = 0; i < 4; i++) await flush();
    },
    send: (...args) => inner.sendCommand(args),
    async close() {
      closeDuplicates();
    },
    client: {
      isReady: true,
      on: (event, listener) => inner.on(event, listener),
      duplicate: () => inner.duplicate(),
      sendCommand(args) {
        sent.push(args);
        return inner.sendCommand(args);
      },
    },
  };
}

describe("simulated Redis", () => contracts("[SIM-1] Simulated Redis", connect()));
