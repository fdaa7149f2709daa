import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { type Costs, demandOf, mostNodes } from "../../../bench/fleet_model.ts";

const COSTS: Costs = {
  idle: { commands: 1, us: 10 },
  call: { commands: 1, us: 50 },
  session: { commands: 40, us: 500 },
  message: { commands: 5, us: 100 },
  broadcast: { commands: 2, us: 30 },
  delivery: { commands: 0, us: 2 },
};
const LOAD = { calls: 100, sessions: 1, messages: 2, broadcasts: 3 };

describe("the model of many nodes", () => {
  test("what each node sends adds up", () => {
    const { rates, commands, busy } = demandOf(10, COSTS, LOAD);
    assert.deepEqual(rates, {
      idle: 10,
      call: 1_000,
      session: 400,
      message: 100,
      broadcast: 60,
      delivery: 400,
    });
    assert.equal(commands, 1_570);
    const us = 10 * 10 + 1_000 * 50 + 10 * 500 + 20 * 100 + 30 * 30 + 400 * 2;
    assert.equal(busy.toFixed(9), (us / 1e6).toFixed(9));
  });

  test("deliveries grow with the square of the nodes, all else with the nodes", () => {
    const [ten, hundred] = [demandOf(10, COSTS, LOAD), demandOf(100, COSTS, LOAD)];
    assert.equal(hundred.rates.delivery, 100 * ten.rates.delivery);
    assert.equal(hundred.commands, 10 * ten.commands);
  });

  test("the most nodes for a share are those that just fit", () => {
    const most = mostNodes(COSTS, 0.5, LOAD);
    assert.ok(demandOf(most, COSTS, LOAD).busy <= 0.5);
    assert.ok(demandOf(most + 1, COSTS, LOAD).busy > 0.5);
  });
});
