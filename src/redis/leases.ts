/**
 * Implements leases between nodes.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import { type Lease, LEASE_RENEW_MS, LEASE_TTL_MS, type Leases } from "../streams/leases.ts";
import type { RedisCommands } from "./clients/commands.ts";
import type { Keys } from "./keys.ts";
import { integer } from "./replies.ts";
import { type Script, script, timeArgument } from "./scripts/script.ts";
import type { Subscriber } from "./clients/subscriber.ts";

/**
 * Defines a lease. KEYS is a hash of `token`, `holder` and `until`. The token only rises: it
 * is never below the time, so that it rises even after the key that kept it has expired.
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
 * Takes a lease with a higher token than any before it, and notifies the previous holder. ARGV:
 * time, holder, ttl, prefix of the channels of holders, `1` to take only a free lease.
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
 * Renews a lease for its holder. A lease that Redis has lost is restored unless another holder took
 * it meanwhile. ARGV: time, holder, ttl, token.
 */
const RENEW = script(
  LEASE,
  `
if holder ~= ARGV[2] and (holder or token >= tonumber(ARGV[4])) then return 0 end
hold(math.max(token, tonumber(ARGV[4])), ARGV[2], ARGV[3])
return 1`,
);

/** Releases a lease for its holder; the token stays for the next holder. ARGV: time, holder. */
const RELEASE = script(
  LEASE,
  `
if holder ~= ARGV[2] then return 0 end
redis.call('HDEL', key, 'holder', 'until')
return 1`,
);

/** Whether a lease is held. ARGV: time. */
const HELD = script(LEASE, "return held and 1 or 0");

/** Limits the failed renewals in a row before a lease counts as lost. */
const MOST_FAILURES = 2;

/** Configures {@linkcode RedisLeases}. */
export interface LeasesInit {
  readonly commands: RedisCommands;
  readonly subscriber: Subscriber;
  readonly keys: Keys;
  /** The name of this process. */
  readonly node: string;
  readonly clock: Clock;
}

interface HeldLease {
  readonly key: string;
  readonly lost: () => void;
  /** The lease's token; 0 until it is known. */
  token: number;
  /** Whether the lease may have been taken over before the subscription began. */
  doubtful: boolean;
  failures: number;
}

/**
 * Implements {@linkcode Leases} in Redis. Taking a lease over notifies the process of the previous
 * holder at once; a process that can't be notified finds out when it renews.
 */
export class RedisLeases implements Leases {
  readonly #init: LeasesInit;
  /** The leases that this process has or is taking, by the name of the holder in Redis. */
  readonly #held = new Map<string, HeldLease>();
  #holders = 0;
  #stopListening: (() => void) | undefined;
  #stopRenewing: (() => void) | undefined;

  constructor(init: LeasesInit) {
    this.#init = init;
  }

  async take(key: string, lost: () => void): Promise<Lease> {
    const lease = await this.#take(key, lost, "");
    if (lease === undefined) throw new Error("Redis refused a lease that is free to take");
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
    // Added before Redis is asked, because the lease may be taken over before the answer arrives.
    const holding: HeldLease = { key, lost, token: 0, doubtful: false, failures: 0 };
    this.#add(holder, holding);
    const release = () => {
      if (!this.#remove(holder)) return;
      // If this command is lost, the lease expires.
      this.#run(RELEASE, key, holder).catch(() => {});
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
      // The lease may have been taken even so.
      release();
      throw error;
    }
  }

  #add(holder: string, holding: HeldLease): void {
    const { subscriber, keys, node, clock } = this.#init;
    this.#held.set(holder, holding);
    this.#stopRenewing ??= clock.timer(LEASE_RENEW_MS, () => this.#renewLater());
    this.#stopListening ??= subscriber.listen(keys.leases(node), {
      onMessage: (lost) => this.#lose(lost),
      // A takeover while the subscription was down was not notified.
      onSubscribed: () => this.#renew(),
    });
  }

  /** Removes a holder. Returns `false` when it is unknown. */
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
      // A failure of the listener is its own.
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

  #renewOne(holder: string, holding: HeldLease): void {
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
