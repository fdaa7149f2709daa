/**
 * Keeps the tokens of users at upstreams, sealed, and renews them: once for all nodes at a time.
 *
 * @module
 */
import { BoundedMap, randomFraction } from "../kit.ts";
import { UpstreamError } from "../gateway/mod.ts";
import { readJson } from "../signin/sealed_records.ts";
import type { ProofKey } from "./dpop.ts";
import { AccountError } from "./errors.ts";
import type { User } from "./names.ts";
import {
  checkAudience,
  type Providers,
  type ServerFacts,
  type StoredClient,
  type Tokens,
} from "./provider.ts";
import type { AccountsSettings } from "./settings.ts";

/**
 * The time for which a node has renewing to itself, in milliseconds: longer than a request may take. The store
 * measures it, as the clocks of nodes differ.
 */
const RENEWING_MS = 15_000;
/** The time between two looks at what another node renews, in milliseconds. */
const LOOK_MS = 250;
/** How long before their end tokens are renewed at most, in milliseconds, and as a part of their life. */
const AHEAD_MS = 120_000;
const AHEAD_PART = 0.3;
/** The most accounts whose tokens a node keeps in memory for a moment. */
const MOST_CACHED = 10_000;
/** The most attempts to write what others write, too. */
const MOST_TRIES = 100;

/** An account as it is stored. */
export interface StoredAccount {
  readonly user: User;
  readonly upstream: string;
  readonly url: string;
  readonly server: ServerFacts;
  readonly client: StoredClient;
  readonly resource: string;
  readonly audience?: string | undefined;
  readonly tokens: Tokens;
  /** The key that the tokens are bound to, if they are. */
  readonly key?: ProofKey | undefined;
  /** The scopes that were granted, or asked for where the server didn't say. */
  readonly scopes: readonly string[];
  /** The scopes that were asked for. */
  readonly asked: readonly string[];
  readonly since: number;
  readonly renewed: number;
  /** Whether the tokens are of no use any more: the user has to sign in again. */
  readonly ended?: boolean | undefined;
}

interface FoundAccount {
  readonly account: StoredAccount;
  readonly version: string;
}

/** The tokens of all users. */
export class Vault {
  readonly #settings: AccountsSettings;
  readonly #providers: Providers;
  readonly #cached: BoundedMap<string, { readonly account: StoredAccount; readonly at: number }>;
  /** What this node is renewing. */
  readonly #renewing = new Map<string, Promise<StoredAccount | undefined>>();

  constructor(settings: AccountsSettings, providers: Providers) {
    this.#settings = settings;
    this.#providers = providers;
    this.#cached = new BoundedMap(MOST_CACHED, () => {});
  }

  /** Returns an account whose tokens can be used, or `undefined`. Renews them if their end is near. */
  async usable(id: string): Promise<StoredAccount | undefined> {
    let account = await this.get(id);
    // The user may have signed in again at another node
    if (account?.ended === true) account = (await this.read(id))?.account;
    if (account === undefined || account.ended === true) return undefined;
    if (!this.#isDue(account)) return account;
    const renewed = await this.renew(id);
    return renewed?.ended === true || renewed === undefined || this.#isOver(renewed)
      ? undefined
      : renewed;
  }

  /** Returns an account, as it was a moment ago at most. */
  async get(id: string): Promise<StoredAccount | undefined> {
    const cached = this.#cached.get(id);
    const { clock, lifetimes: { cacheMs } } = this.#settings;
    if (cached !== undefined && Math.abs(clock.now() - cached.at) < cacheMs) return cached.account;
    return (await this.read(id))?.account;
  }

  /** Returns an account, as it is stored now. */
  async read(id: string): Promise<FoundAccount | undefined> {
    const found = await readJson<StoredAccount>(this.#settings.records, `account:${id}`);
    if (found === undefined) {
      this.#cached.delete(id);
      return undefined;
    }
    this.#cached.set(id, { account: found.value, at: this.#settings.clock.now() });
    return { account: found.value, version: found.version };
  }

  /** Stores an account in place of any other. */
  async put(id: string, account: StoredAccount): Promise<void> {
    const { records, clock, lifetimes: { accountMs: ttlMs } } = this.#settings;
    await records.put(`account:${id}`, JSON.stringify(account), { ttlMs });
    this.#cached.set(id, { account, at: clock.now() });
  }

  async #replace(id: string, account: StoredAccount, version: string): Promise<string | undefined> {
    const { records, clock, lifetimes: { accountMs: ttlMs } } = this.#settings;
    const write = { ttlMs, expected: version };
    const written = await records.put(`account:${id}`, JSON.stringify(account), write);
    if (written === undefined) this.#cached.delete(id);
    else this.#cached.set(id, { account, at: clock.now() });
    return written;
  }

  /** Deletes an account. Returns it if it was there. */
  async delete(id: string): Promise<StoredAccount | undefined> {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const found = await this.read(id);
      if (found === undefined) return undefined;
      this.#cached.delete(id);
      if (await this.#settings.records.delete(`account:${id}`, found.version)) return found.account;
    }
    throw new Error("The account is being changed: try again");
  }

  /** Notes that an upstream refused a token. The user has to sign in again, if it is still the account's. */
  async end(id: string, accessToken: string): Promise<void> {
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const found = await this.read(id);
      if (found === undefined || found.account.tokens.accessToken !== accessToken) return;
      if (await this.#replace(id, ended(found.account), found.version) !== undefined) return;
    }
  }

  /**
   * Renews the tokens of an account, unless another call or node does: then waits for what it gets.
   *
   * @param refused The access token that the upstream refused, although its end isn't near
   * @returns The account; `ended` if the user has to sign in again
   * @throws {UpstreamError} If the authorization server can't be reached, and the tokens are over
   */
  async renew(id: string, refused?: string): Promise<StoredAccount | undefined> {
    const running = this.#renewing.get(id);
    if (running !== undefined) return await running;
    const renewing = this.#renewInTurn(id, refused).finally(() => this.#renewing.delete(id));
    this.#renewing.set(id, renewing);
    return await renewing;
  }

  async #renewInTurn(id: string, refused: string | undefined): Promise<StoredAccount | undefined> {
    const { clock, records } = this.#settings;
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const found = await this.read(id);
      if (found === undefined) return undefined;
      const { account, version } = found;
      const isRefused = refused !== undefined && account.tokens.accessToken === refused;
      if (account.ended === true || !isRefused && !this.#isDue(account)) return account;
      if (account.tokens.refreshToken === undefined) {
        if (!isRefused && !this.#isOver(account)) return account;
        await this.#replace(id, ended(account), version);
        continue;
      }
      const until = clock.now() + RENEWING_MS;
      const claim = await records.put(`renewing:${id}`, "", { ttlMs: RENEWING_MS, expected: null });
      if (claim === undefined) {
        // Another node is at it: its tokens are used when they are there
        if (!isRefused && !this.#isOver(account)) return account;
        await this.#pause();
        continue;
      }
      try {
        // It may have ended just before
        if ((await this.read(id))?.version !== version) continue;
        return await this.#renewClaimed(id, account, version, until, isRefused);
      } finally {
        await this.#release(id, claim);
      }
    }
    throw new UpstreamError("timeout", {
      advice: "Call again later: the tokens are being renewed",
    });
  }

  /** Lets other nodes renew. A claim that stays expires. */
  async #release(id: string, claim: string): Promise<void> {
    try {
      await this.#settings.records.delete(`renewing:${id}`, claim);
    } catch {
      // What was renewed is stored
    }
  }

  /** Waits a moment for what another node or the store does. */
  #pause(): Promise<void> {
    return new Promise((resolve) => void this.#settings.clock.timer(LOOK_MS, resolve));
  }

  /** Replaces an account, again while the store fails: nobody but this node has the new tokens. */
  async #keep(
    id: string,
    account: StoredAccount,
    version: string,
    until: number,
  ): Promise<string | undefined> {
    for (;;) {
      try {
        // One that failed may have had its effect: then this one finds the account as it should be
        return await this.#replace(id, account, version);
      } catch (error) {
        if (this.#settings.clock.now() >= until) throw error;
      }
      await this.#pause();
    }
  }

  /** Renews tokens for all nodes. The old ones are kept until the new ones are stored. */
  async #renewClaimed(
    id: string,
    account: StoredAccount,
    version: string,
    until: number,
    isRefused: boolean,
  ): Promise<StoredAccount | undefined> {
    const { clock } = this.#settings;
    const { server, client, tokens, resource, key } = account;
    let fresh: Tokens | "ended";
    try {
      const { refreshToken = "" } = tokens;
      fresh = await this.#providers.renew(server, client, refreshToken, resource, key);
      if (fresh !== "ended") checkAudience(fresh.accessToken, account.resource, account.audience);
    } catch (error) {
      this.#report(
        account,
        "failed",
        error instanceof AccountError ? error.reason : "failed",
        error,
      );
      if (!isRefused && !this.#isOver(account)) return account;
      throw new UpstreamError("upstream", {
        advice:
          "Call again later: the authorization server of the upstream doesn't renew tokens now",
      });
    }
    const isEnded = fresh === "ended";
    const settled: StoredAccount = fresh === "ended" ? ended(account) : {
      ...account,
      // Whoever gets no new refresh token keeps the old one (RFC 6749 §6)
      tokens: { ...fresh, refreshToken: fresh.refreshToken ?? tokens.refreshToken },
      scopes: fresh.scopes ?? account.scopes,
      renewed: clock.now(),
    };
    if (await this.#keep(id, settled, version, until) === undefined) {
      const now = (await this.read(id))?.account;
      // It was disconnected or connected anew meanwhile: what was just got belongs to nobody
      if (fresh !== "ended" && now?.since !== account.since) {
        await this.#providers.revoke(server, client, fresh.refreshToken ?? fresh.accessToken);
      }
      return now;
    }
    this.#report(account, isEnded ? "refused" : "passed", isEnded ? "grant-ended" : "renewed");
    return settled;
  }

  #report(
    { upstream, user, server }: StoredAccount,
    outcome: "passed" | "refused" | "failed",
    reason: string,
    error?: unknown,
  ): void {
    this.#settings.report({
      ...{ step: "refresh", outcome, reason, upstream },
      ...{ user: user.id, userIssuer: user.issuer, issuer: server.issuer },
      ...error !== undefined && { error },
    });
  }

  /** Tells whether tokens are renewed now: some time ahead, another one at each node. */
  #isDue({ tokens: { expiresAt }, renewed }: StoredAccount): boolean {
    if (expiresAt === undefined) return false;
    const ahead = Math.min(AHEAD_MS, (expiresAt - renewed) * AHEAD_PART);
    return this.#settings.clock.now() >= expiresAt - ahead * (0.5 + 0.5 * randomFraction());
  }

  #isOver({ tokens: { expiresAt } }: StoredAccount): boolean {
    return expiresAt !== undefined && this.#settings.clock.now() >= expiresAt;
  }
}

/** Returns an account without its tokens. */
function ended(account: StoredAccount): StoredAccount {
  return { ...account, tokens: { accessToken: "" }, key: undefined, ended: true };
}
