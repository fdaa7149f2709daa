/**
 * Keeps the grants: what each login of a client allows, and how far its refresh tokens are.
 *
 * @module
 */
import { hmacSha256, randomText, sameText, toBase64Url } from "../../kit.ts";
import type { Clock, Principal } from "../../../mod.ts";
import type { RecordStore } from "../../cluster/mod.ts";
import type { Keyring } from "../keyring.ts";
import { keysOf, readJson } from "../sealed_records.ts";
import type { Grant, GrantEndReason, Grants, SignInLifetimes } from "../types.ts";

/** The most grants that a user may have. */
const MOST_GRANTS = 100;
/** The uses of refresh tokens whose times are remembered. */
const MOST_USES = 8;
/** A time in which each code has expired, in milliseconds. */
const CODES_MS = 120_000;
/** The most consents of a user that are forgotten with all its grants. */
const MOST_CONSENTS = 1_000;

/** A grant, as it is stored. */
export interface StoredGrant extends Grant {
  /** The key that its refresh tokens are made with. */
  readonly secret: string;
  /** The number of the current refresh token. */
  readonly turn: number;
  /** When the tokens before it were used, the last one first, in milliseconds since the epoch. */
  readonly uses: readonly number[];
  /** When a node began to ask the provider about the last use, while no answer is known. */
  readonly asking?: number | undefined;
  /** What the provider is asked with. */
  readonly credential?: string | undefined;
  /** The provider's last ID token, if they are kept. */
  readonly idToken?: string | undefined;
  /** The fingerprint of the key that its refresh tokens are bound to (RFC 9449 §5). */
  readonly jkt?: string | undefined;
  /** The name of the consent. */
  readonly consent: string;
  /** When it ends at the latest, in milliseconds since the epoch, if that is sooner than others do. */
  readonly until?: number;
  /** Why it ended. Kept until its last access token has expired. */
  readonly ended?: GrantEndReason;
}

/** A grant and its version. */
export interface FoundGrant {
  readonly value: StoredGrant;
  readonly version: string;
}

/** Options for {@linkcode GrantTable}. */
export interface GrantTableInit {
  readonly records: RecordStore;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly lifetimes: Readonly<Required<SignInLifetimes>>;
  /** Called when this node has ended a grant. */
  readonly onEnded: (grant: Grant, reason: GrantEndReason) => void;
}

/** The grants of all nodes. */
export class GrantTable implements Grants {
  readonly #init: GrantTableInit;

  constructor(init: GrantTableInit) {
    this.#init = init;
  }

  /** Returns the name of a user in ids and keys. */
  async userName({ id, issuer = "" }: Pick<Principal, "id" | "issuer">): Promise<string> {
    return await this.#init.keyring.nameOf("user", issuer, id);
  }

  /** Makes the id of a grant. */
  async newId(user: Pick<Principal, "id" | "issuer">): Promise<string> {
    return `${await this.userName(user)}.${randomText(22)}`;
  }

  /**
   * Stores a new grant, unless there was one of its id, ended ones included, or all of the user were ended
   * since the consent was given.
   *
   * @param consentAt When the consent was read, in milliseconds since the epoch
   */
  async create(
    grant: StoredGrant,
    consentAt: number,
  ): Promise<"created" | "code-reused" | "consent-forgotten"> {
    if (await this.#write(grant, null) === undefined) return "code-reused";
    // Looked at after the write: what ends all grants meanwhile finds this one
    if (await this.hasLeft(grant.user, consentAt)) {
      await this.stop(grant.id, "ended");
      return "consent-forgotten";
    }
    await this.#endSurplus(grant.id);
    return "created";
  }

  /** Tells whether all grants of a user were ended at a time or since, while logins of then may go on. */
  async hasLeft(user: Pick<Principal, "id" | "issuer">, at: number): Promise<boolean> {
    const left = await readJson<number>(this.#init.records, `left:${await this.userName(user)}`);
    return left !== undefined && at <= left.value;
  }

  /** Returns a grant, also one that has ended. */
  async find(id: string): Promise<FoundGrant | undefined> {
    return isGrantId(id) ? await readJson<StoredGrant>(this.#init.records, keyOf(id)) : undefined;
  }

  /** Replaces a grant. Returns its version, or `undefined` if another node has changed it. */
  async replace(grant: StoredGrant, version: string): Promise<string | undefined> {
    return await this.#write(grant, version);
  }

  /**
   * Ends a grant, whether it is there yet or not: one that ended is never created. Returns whether it was
   * there.
   */
  async stop(id: string, reason: GrantEndReason): Promise<boolean> {
    const { records, lifetimes, onEnded } = this.#init;
    for (let tries = 0; tries < 10; tries++) {
      const found = await this.find(id);
      if (found?.value.ended !== undefined) return false;
      const ended = {
        ...found?.value,
        ended: reason,
        secret: "",
        credential: undefined,
        idToken: undefined,
      };
      const ttlMs = lifetimes.accessMs + 120_000;
      const write = { ttlMs, expected: found?.version ?? null };
      if (await records.put(keyOf(id), JSON.stringify(ended), write) === undefined) continue;
      if (found !== undefined) onEnded(shown(found.value), reason);
      return found !== undefined;
    }
    throw new Error("The grant is being changed: try again");
  }

  async list(
    { user, cursor }: Parameters<Grants["list"]>[0] & object = {},
  ): Promise<Awaited<ReturnType<Grants["list"]>>> {
    const prefix = user === undefined ? "grant:" : `grant:${await this.userName(user)}.`;
    const page = await this.#init.records.list(prefix, cursor);
    const found = await Promise.all(page.keys.map((key) => this.find(key.slice("grant:".length))));
    const grants = found.flatMap((each) =>
      each === undefined || each.value.ended !== undefined ? [] : [shown(each.value)]
    );
    return page.cursor === undefined ? { grants } : { grants, cursor: page.cursor };
  }

  async end(id: string): Promise<boolean> {
    const found = await this.find(id);
    if (found === undefined || found.value.ended !== undefined) return false;
    await this.#init.records.delete(found.value.consent);
    return await this.stop(id, "ended");
  }

  async endUser(user: Pick<Principal, "id" | "issuer">): Promise<number> {
    const { records, clock, lifetimes } = this.#init;
    const name = await this.userName(user);
    // Codes and questions of logins that are under way have consent from before
    const ttlMs = lifetimes.loginMs + CODES_MS;
    await records.put(`left:${name}`, JSON.stringify(clock.now()), { ttlMs });
    for (const key of await keysOf(records, `question:${name}.`, MOST_CONSENTS)) {
      await records.delete(key);
    }
    let ended = 0;
    for (const key of await keysOf(records, `grant:${name}.`, 2 * MOST_GRANTS)) {
      if (await this.stop(key.slice("grant:".length), "ended")) ended++;
    }
    for (const key of await keysOf(records, `consent:${name}.`, MOST_CONSENTS)) {
      await records.delete(key);
    }
    return ended;
  }

  async #write(grant: StoredGrant, expected: string | null): Promise<string | undefined> {
    const { records, clock, lifetimes } = this.#init;
    const left = (grant.until ?? grant.since + lifetimes.grantMs) - clock.now();
    const ttlMs = Math.max(1, Math.min(lifetimes.refreshMs, left));
    return await records.put(keyOf(grant.id), JSON.stringify(grant), { ttlMs, expected });
  }

  /** Ends the grants of a user that were not used for the longest time, if there are too many. */
  async #endSurplus(id: string): Promise<void> {
    const [name] = id.split(".");
    const keys = await keysOf(this.#init.records, `grant:${name}.`, 2 * MOST_GRANTS);
    if (keys.length <= MOST_GRANTS) return;
    const found = await Promise.all(keys.map((key) => this.find(key.slice("grant:".length))));
    const living = found.flatMap((each) =>
      each?.value.ended === undefined && each ? each.value : []
    )
      .sort((a, b) => b.lastUsed - a.lastUsed);
    for (const { id } of living.slice(MOST_GRANTS)) await this.stop(id, "too-many");
  }
}

/** Returns the refresh token of a turn. */
export function refreshToken({ id, secret }: StoredGrant, turn: number): string {
  return `${id}.${turn.toString(36)}.${proofOf(secret, turn)}`;
}

/** A refresh token, in its parts. */
export interface RefreshTokenParts {
  readonly id: string;
  readonly turn: number;
  readonly proof: string;
}

/** Reads a refresh token. Returns `undefined` for anything else. */
export function readRefreshToken(token: string): RefreshTokenParts | undefined {
  const parts = /^([\w-]{32}\.[\w-]{22})\.([0-9a-z]{1,9})\.([\w-]{43})$/.exec(token);
  const [, id, turn, proof] = parts ?? [];
  if (id === undefined || turn === undefined || proof === undefined) return undefined;
  return { id, turn: parseInt(turn, 36), proof };
}

/** Tells whether a refresh token is one that was made for a grant. */
export function isTokenOf({ secret }: StoredGrant, { turn, proof }: RefreshTokenParts): boolean {
  return sameText(proofOf(secret, turn), proof);
}

/** Returns a grant whose current refresh token was used. */
export function withNextTurn(grant: StoredGrant, now: number): StoredGrant {
  const uses = [now, ...grant.uses].slice(0, MOST_USES);
  return { ...grant, turn: grant.turn + 1, uses, lastUsed: now };
}

function proofOf(secret: string, turn: number): string {
  const encoder = new TextEncoder();
  return toBase64Url(hmacSha256(encoder.encode(secret), encoder.encode(`refresh ${turn}`)));
}

function isGrantId(id: string): boolean {
  return /^[\w-]{32}\.[\w-]{22}$/.test(id);
}

function keyOf(id: string): string {
  return `grant:${id}`;
}

function shown({ id, user, client, scopes, resource, since, lastUsed }: StoredGrant): Grant {
  return { id, user, client, scopes, resource, since, lastUsed };
}
