/**
 * Leases between nodes.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { type Lease, LEASE_RENEW_MS, LEASE_TTL_MS, type Leases } from "../cluster/types.ts";
import type { Commands } from "./commands.ts";
import type { Keys } from "./keys.ts";
import { integer } from "./replies.ts";
import { type Script, script, timeArgument } from "./script.ts";
import type { Subscriber } from "./subscriber.ts";

/**
 * A lease: KEYS is a hash of \`token\`, \`holder\` and \`until\`. The token only rises: it is never below the
 * time, so that it rises even past the end of the key that kept it.
 */
const LEASE = `
local key, now = KEYS[1], time(ARGV[1])
local lease = redis.call('HMGET', key, 'token', 'holder', 'until')
local token, holder = tonumber(lease[1] or 0), lease[2]
local held = holder and tonumber(lease[3] or 0) > now
local function hold(token, holder, ttl)
  redis.call('HSET', key, 'token', int(token), 'holder', holder, 'until', int(now + ttl))
  redis.call('PEXPIRE', key, int(2 * ttl))
end
`;

/**
 * Every lease has a higher token than any before it, and whoever held the key is told. ARGV: time, holder,
 * ttl, what the channels of holders begin with, \`1\` to take only what nobody holds.
 */
const TAKE = script(
  LEASE,
  `
if held and ARGV[5] == '1' then return false end
token = math.max(token + 1, now)
hold(token, ARGV[2], ARGV[3])
if holder then
  redis.call('PUBLISH', ARGV[4] .. holder:match('^[^/]*'), holder)
end
return int(token)`,
);

/**
 * Only its holder keeps a lease; one that Redis has lost is as it was unless somebody took it meanwhile.
 * ARGV: time, holder, ttl, token.
 */
const RENEW = script(
  LEASE,
  `
if holder ~= ARGV[2] and (holder or token >= tonumber(ARGV[4])) then return 0 end
hold(math.max(token, tonumber(ARGV[4])), ARGV[2], ARGV[3])
return 1`,
);

/** Only its holder lets go; the token stays for who comes next. ARGV: time, holder. */
const LET_GO = script(
  LEASE,
  `
if holder ~= ARGV[2] then return 0 end
redis.call('HDEL', key, 'holder', 'until')
return 1`,
);

/** Whether somebody holds it. ARGV: time. */
const HELD = script(LEASE, "return held and 1 or 0");

/** After how many failed renewals in a row a lease is lost. */
const MOST_FAILURES = 2;

/** What {@linkcode RedisLeases} are made with. */
export interface LeasesInit {
  readonly commands: Commands;
  readonly subscriber: Subscriber;
  readonly keys: Keys;
  /** This process's name. */
  readonly node: string;
  readonly clock: Clock;
}

interface Holding {
  readonly key: string;
  readonly lost: () => void;
  /** 0 until it is known. */
  token: number;
  /** Whether it may have been taken over before anybody could tell. */
  doubtful: boolean;
  failures: number;
}

/**
 * {@linkcode Leases} in Redis. Whoever takes a key over tells the old holder's process at once; a process
 * that can't be told finds out when it renews.
 */
export class RedisLeases implements Leases {
  readonly #init: LeasesInit;
  /** What this process holds or is about to, by the holder's name in Redis. */
  readonly #held = new Map<string, Holding>();
  #holders = 0;
  #stopListening: (() => void) | undefined;
  #stopRenewing: (() => void) | undefined;

  constructor(init: LeasesInit) {
    this.#init = init;
  }

  async take(key: string, lost: () => void): Promise<Lease> {
    const lease = await this.#take(key, lost, "");
    if (lease === undefined) throw new Error("Redis did not give a lease that anybody may take");
    return lease;
  }

  tryTake(key: string, lost: () => void): Promise<Lease | undefined> {
    return this.#take(key, lost, "1");
  }

  async held(key: string): Promise<boolean> {
    return await this.#run(HELD, key) === 1;
  }

  async #take(key: string, lost: () => void, onlyFree: "" | "1"): Promise<Lease | undefined> {
    const { node, keys } = this.#init;
    const holder = `${node}/${++this.#holders}`;
    // Listed before Redis is asked: it may be taken over before the answer is here.
    const holding: Holding = { key, lost, token: 0, doubtful: false, failures: 0 };
    this.#add(holder, holding);
    const release = () => {
      if (!this.#remove(holder)) return;
      // If it gets lost, the lease ends with its time.
      this.#run(LET_GO, key, holder).catch(() => {});
    };
    try {
      const args = [holder, String(LEASE_TTL_MS), keys.leases(""), onlyFree];
      const token = await this.#run(TAKE, key, ...args);
      if (token === null) {
        this.#remove(holder);
        return undefined;
      }
      holding.token = integer(token, "lease");
      if (holding.doubtful) this.#renewOne(holder, holding);
      return { token: holding.token, release };
    } catch (error) {
      // It may have been taken all the same.
      release();
      throw error;
    }
  }

  #add(holder: string, holding: Holding): void {
    const { subscriber, keys, node, clock } = this.#init;
    this.#held.set(holder, holding);
    this.#stopRenewing ??= clock.timer(LEASE_RENEW_MS, () => this.#renewLater());
    this.#stopListening ??= subscriber.listen(keys.leases(node), {
      heard: (lost) => this.#lose(lost),
      // Who took something over meanwhile could not tell.
      restored: () => this.#renew(),
    });
  }

  /** Takes one off the list. `false` when it isn't on it. */
  #remove(holder: string): boolean {
    if (!this.#held.delete(holder)) return false;
    if (this.#held.size > 0) return true;
    this.#stopListening?.();
    this.#stopRenewing?.();
    this.#stopListening = this.#stopRenewing = undefined;
    return true;
  }

  #lose(holder: string): void {
    const holding = this.#held.get(holder);
    if (holding === undefined) return;
    this.#remove(holder);
    try {
      holding.lost();
    } catch {
      // The old holder's own trouble.
    }
  }

  #renewLater(): void {
    this.#stopRenewing = this.#init.clock.timer(LEASE_RENEW_MS, () => this.#renewLater());
    this.#renew();
  }

  #renew(): void {
    for (const [holder, holding] of this.#held) {
      if (holding.token === 0) holding.doubtful = true;
      else this.#renewOne(holder, holding);
    }
  }

  #renewOne(holder: string, holding: Holding): void {
    const args = [holder, String(LEASE_TTL_MS), String(holding.token)];
    this.#run(RENEW, holding.key, ...args).then((answer) => {
      if (answer === 1) holding.failures = 0;
      else this.#lose(holder);
    }, () => {
      holding.failures += 1;
      if (holding.failures >= MOST_FAILURES) this.#lose(holder);
    });
  }

  #run(script: Script, key: string, ...args: readonly string[]): Promise<unknown> {
    const { commands, keys, clock } = this.#init;
    return commands.run(script, [keys.lease(key)], [timeArgument(clock), ...args]);
  }
}
