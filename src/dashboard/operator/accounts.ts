/**
 * Lists the accounts of users at upstreams, and disconnects them.
 *
 * @module
 */
import type { Clock } from "../../../mod.ts";
import { Listing } from "./listing.ts";
import { MOST_ID, shown } from "./texts.ts";
import type { AccountRow, AccountSource, ListedAccount } from "./types.ts";

/** The accounts, as they were listed last. */
export class AccountDirectory {
  readonly #accounts: AccountSource;
  readonly #listing: Listing<ListedAccount>;

  /** Creates a directory; nothing is read yet. */
  constructor(accounts: AccountSource, clock: Clock) {
    this.#accounts = accounts;
    this.#listing = new Listing(async (cursor) => {
      const { accounts: items, cursor: next } = await accounts.list({ cursor });
      return { items, cursor: next };
    }, clock);
  }

  /** Returns the rows, at most 1,000 and not older than five seconds, and whether there are more. */
  async rows(): Promise<{ readonly rows: readonly AccountRow[]; readonly hasMore: boolean }> {
    const { items, hasMore } = await this.#listing.latest();
    return { rows: items.map(rowOf), hasMore };
  }

  /** Disconnects an account. Returns in words whose it was, or `undefined` if there was none. */
  async disconnect(id: string): Promise<string | undefined> {
    const account = await this.#listing.find((each) => each.id === id);
    const isDone = await this.#accounts.disconnect(id);
    this.#listing.expire();
    if (!isDone) return undefined;
    // One that didn't fit in the list is disconnected all the same
    if (account === undefined) return `the account ${shown(id)}`;
    const { principal, upstream } = rowOf(account);
    return `${principal} from ${upstream}`;
  }
}

function rowOf(account: ListedAccount): AccountRow {
  const { id, user, upstream, issuer, scopes, since, renewed, isEnded } = account;
  return {
    key: id,
    endpoint: "",
    account: id,
    principal: shown(user.id, MOST_ID),
    issuer: shown(user.issuer, MOST_ID),
    upstream: shown(upstream),
    server: shown(issuer, MOST_ID),
    scopes: shown(scopes.join(" ")),
    since,
    renewedAt: renewed,
    ended: isEnded,
  };
}
