/**
 * Counts in Redis what the nodes of a cluster use together.
 *
 * @module
 */
import type { Clock } from "../internal/clock.ts";
import type {
  QuotaRequest,
  QuotaStore,
  TokenGrant,
  TokenRequest,
} from "../internal/quota_store.ts";
import type { RedisCommands } from "./clients/commands.ts";
import type { Keys } from "./keys.ts";
import { foreignData, integer } from "./replies.ts";
import { bounded, script, timeArgument } from "./scripts/script.ts";

/**
 * Sets the units that a node has, and returns them. KEYS is a hash of `units until` by node. ARGV: time,
 * node, limit, keep, need, spare, ttl.
 */
const HOLD = script(`
local key, now, node = KEYS[1], time(ARGV[1]), ARGV[2]
local keep, need, spare = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local free = tonumber(ARGV[3]) - keep
local all = redis.call('HGETALL', key)
for i = 1, #all, 2 do
  local units, till = all[i + 1]:match('^(%d+) (%d+)$')
  if not till or tonumber(till) <= now then
    redis.call('HDEL', key, all[i])
  elseif all[i] ~= node then
    free = free - tonumber(units)
  end
end
local needed = math.max(0, math.min(free, need))
local units = keep + needed + math.max(0, math.min(spare, math.floor((free - needed) / 2)))
if units == 0 then
  redis.call('HDEL', key, node)
else
  redis.call('HSET', key, node, int(units) .. ' ' .. int(now + ARGV[7]))
  redis.call('PEXPIRE', key, ARGV[7])
end
return int(units)`);

/** Keeps the fractions of a number. */
const EXACT = `
local function exact(number) return string.format('%.17g', number) end
`;

/**
 * Takes tokens from a bucket; returns their number, and the time until the next one. KEYS is the time at
 * which the bucket is full. ARGV: time, milliseconds for each token, burst, charge, need, spare.
 */
const SPEND = script(
  EXACT,
  `
local key, now, token = KEYS[1], time(ARGV[1]), tonumber(ARGV[2])
local need, spare = tonumber(ARGV[5]), tonumber(ARGV[6])
local rounding, most = 0.001, token * ARGV[3]
local full = (tonumber(redis.call('GET', key) or now) or now) + ARGV[4] * token
full = math.min(math.max(full, now), now + 2 * most)
local left = math.max(0, math.floor((now + most - full + rounding) / token))
local needed = math.min(left, need)
local tokens = needed + math.min(spare, math.floor((left - needed) / 2))
full = full + tokens * token
if full > now then
  redis.call('SET', key, exact(full), 'PX', int(math.ceil(full - now)))
else
  redis.call('DEL', key)
end
return {int(tokens), exact(math.max(0, full + token - most - now - rounding))}`,
);

/** Configures {@linkcode RedisQuotas}. */
export interface QuotasInit {
  readonly commands: RedisCommands;
  readonly keys: Keys;
  readonly clock: Clock;
}

/** Implements {@linkcode QuotaStore} in Redis. */
export class RedisQuotas implements QuotaStore {
  readonly #init: QuotasInit;

  constructor(init: QuotasInit) {
    this.#init = init;
  }

  async hold(quota: string, node: string, request: QuotaRequest): Promise<number> {
    const { commands, keys, clock } = this.#init;
    const { limit, keep, need, spare, ttlMs } = request;
    const numbers = [limit, keep, need, spare, ttlMs].map((number) => String(bounded(number)));
    const args = [timeArgument(clock), node, ...numbers];
    return integer(await commands.run(HOLD, [keys.quota(quota)], args), "quota");
  }

  async spend(
    bucket: string,
    { perSecond, burst, charge, need, spare }: TokenRequest,
  ): Promise<TokenGrant> {
    const { commands, keys, clock } = this.#init;
    const numbers = [bounded(1000 / perSecond), burst, charge, need, spare].map(String);
    const args = [timeArgument(clock), ...numbers];
    const reply = await commands.run(SPEND, [keys.bucket(bucket)], args);
    if (!Array.isArray(reply)) throw foreignData("bucket");
    const [tokens, wait] = reply;
    const waitMs = Number(wait);
    if (!(waitMs >= 0)) throw foreignData("bucket");
    return { tokens: integer(tokens, "bucket"), waitMs };
  }
}
