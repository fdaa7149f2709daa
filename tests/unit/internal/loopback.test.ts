import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isLoopback } from "../../../src/internal/loopback.ts";

describe("isLoopback()", () => {
  test("[GATE-2, GATE-3] knows the machine's own addresses", () => {
    const own = [
      "localhost",
      "LOCALHOST",
      "127.0.0.1",
      "127.1.2.3",
      "127.255.255.255",
      "::1",
      "[::1]",
    ];
    for (const host of own) assert.equal(isLoopback(host), true, host);
  });

  test("[GATE-2, GATE-3] takes no other host for one", () => {
    const others = [
      "",
      "0.0.0.0",
      "::",
      "[::2]",
      "128.0.0.1",
      "1270.0.1",
      "127.1",
      "127.0.0.256",
      "127.0.0.1.example",
      "localhost.",
      "localhost.example",
      "notlocalhost",
      // The network may say which machine it is
      "app.localhost",
    ];
    for (const host of others) assert.equal(isLoopback(host), false, host);
  });
});
