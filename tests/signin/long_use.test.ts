/**
 * Logins over a long time: many sessions of one user, whose nodes die, by a clock that a test moves.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { describe, test } from "node:test";
import type { ProviderLogin } from "../../src/signin/mod.ts";
import { ChosenProvider, refresh, type Tokens, tokensOf, World } from "./front.ts";

const DAY_MS = 24 * 3600_000;
const SESSIONS = 10;
/** The time between two refreshes of a session: that of its tokens in the long form of the tests. */
const STEP_MS = process.env.MOORING_LONG === undefined ? 4 * 3600_000 : 300_000;

/** A provider whose answer may never come, as for a node that dies while it waits. */
class HangingProvider extends ChosenProvider {
  hangs = false;
  readonly waiting: (() => void)[] = [];

  override refresh(credential: string): Promise<ProviderLogin | "ended"> {
    const answer = super.refresh(credential);
    if (!this.hangs) return answer;
    return new Promise((resolve) => this.waiting.push(() => resolve(answer)));
  }
}

async function asked(provider: ChosenProvider, times: number): Promise<void> {
  for (let turns = 0; provider.refreshes < times; turns++) {
    assert.ok(turns < 10_000, "The provider was not asked");
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}

describe("long use", () => {
  test("[FRONT-26] ten sessions of one user are good for thirty days without a second login, with a node lost at each refresh", async () => {
    const provider = new HangingProvider();
    const lifetimes = { keyMs: 5 * DAY_MS };
    const world = new World({ provider, lifetimes }, 2);
    world.provider.user = provider.user;
    const sessions: Tokens[] = [];
    for (let at = 0; at < SESSIONS; at++) sessions.push(await tokensOf(world));
    const logins = provider.finishes;
    let lost = 0;
    for (let spent = STEP_MS; spent <= 30 * DAY_MS; spent += STEP_MS) {
      await world.clock.advance(STEP_MS);
      for (const [at, { refresh_token }] of sessions.entries()) {
        lost++;
        const [dying, other] = lost % 2 === 0 ? [0, 1] : [1, 0];
        let answer: Promise<Response> | undefined;
        if (lost % 4 < 2) {
          // The node dies when it has done everything: its answer gets lost.
          await refresh(world, refresh_token, {}, dying);
        } else {
          // It dies while it waits for the provider.
          provider.hangs = true;
          const before = provider.refreshes;
          answer = refresh(world, refresh_token, {}, dying);
          await asked(provider, before + 1);
          provider.hangs = false;
          if (lost % 8 < 4) await world.clock.advance(16_000);
        }
        const response = await refresh(world, refresh_token, {}, other);
        assert.equal(response.status, 200, `${spent} ${await response.clone().text()}`);
        const tokens: Tokens = await response.json();
        assert.equal((await world.call(tokens.access_token, "who", other)).status, 200);
        sessions[at] = tokens;
        // What the dead node would have said changes nothing any more.
        for (const end of provider.waiting.splice(0)) end();
        await answer;
      }
    }
    assert.equal(lost, SESSIONS * 30 * DAY_MS / STEP_MS);
    assert.equal(provider.finishes, logins);
    assert.deepEqual(world.ended, []);
    await world.close();
  });

  test("[FRONT-27] two refreshes in a row, while the provider answers slowly, ask it once with one credential", async () => {
    const provider = new HangingProvider();
    const world = new World({ provider }, 2);
    const { refresh_token } = await tokensOf(world);
    provider.hangs = true;
    const slow = refresh(world, refresh_token);
    await asked(provider, 1);
    // Another window of the client gets the same successor at once, and uses it.
    const again: Tokens = await (await refresh(world, refresh_token, {}, 1)).json();
    const next = await refresh(world, again.refresh_token, {}, 1);
    assert.equal(next.status, 200, await next.clone().text());
    const { refresh_token: last }: Tokens = await next.json();
    assert.equal(provider.refreshes, 1);
    provider.hangs = false;
    for (const end of provider.waiting.splice(0)) end();
    assert.equal((await slow).status, 200);
    assert.equal((await refresh(world, last)).status, 200);
    assert.equal(provider.refreshes, 2);
    // What it says in the end still holds for all.
    await world.close();
  });
});
