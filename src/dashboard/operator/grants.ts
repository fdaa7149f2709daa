/**
 * Lists the grants of sign-in, and ends them.
 *
 * @module
 */
import type { Clock } from "../../../mod.ts";
import { MOST_ID, shown } from "./texts.ts";
import type { GrantRow, GrantSource, ListedGrant } from "./types.ts";

/** The maximum number of grants that are listed. */
const MOST = 1_000;
/** The time for which grants are not listed again while somebody watches, in milliseconds. */
const KEPT_MS = 5_000;

/** The grants, as they were listed last. */
export class GrantDirectory {
  readonly #grants: GrantSource;
  readonly #clock: Clock;
  #listed: readonly ListedGrant[] = [];
  #hasMore = false;
  #listedAt = -Infinity;
  #listing: Promise<void> | undefined;

  /** Creates a directory; nothing is read yet. */
  constructor(grants: GrantSource, clock: Clock) {
    this.#grants = grants;
    this.#clock = clock;
  }

  /** Returns the rows, at most 1,000 and not older than five seconds, and whether there are more. */
  async rows(): Promise<{ readonly rows: readonly GrantRow[]; readonly hasMore: boolean }> {
    if (Math.abs(this.#clock.now() - this.#listedAt) >= KEPT_MS) await this.#list();
    return { rows: this.#listed.map(rowOf), hasMore: this.#hasMore };
  }

  /** Ends a grant. Returns it, or `undefined` if there was none. */
  async end(id: string): Promise<ListedGrant | undefined> {
    const isId = (grant: ListedGrant) => grant.id === id;
    if (!this.#listed.some(isId)) await this.#list();
    const grant = this.#listed.find(isId);
    const ended = await this.#grants.end(id);
    this.#listedAt = -Infinity;
    return ended ? grant : undefined;
  }

  /** Ends all grants of a user, as rows show the user. */
  async endUser(
    principal: string,
    issuer: string,
  ): Promise<{ readonly user: ListedGrant["user"]; readonly count: number } | undefined> {
    const isOf = ({ user }: ListedGrant) =>
      shown(user.id, MOST_ID) === principal && shown(user.issuer, MOST_ID) === issuer;
    if (!this.#listed.some(isOf)) await this.#list();
    const user = this.#listed.find(isOf)?.user;
    if (user === undefined) return undefined;
    const count = await this.#grants.endUser(user);
    this.#listedAt = -Infinity;
    return { user, count };
  }

  /** Lists anew; calls meanwhile wait for the same list. */
  #list(): Promise<void> {
    return this.#listing ??= this.#read().finally(() => this.#listing = undefined);
  }

  async #read(): Promise<void> {
    const listed: ListedGrant[] = [];
    let cursor: string | undefined;
    do {
      const page = await this.#grants.list({ cursor });
      listed.push(...page.grants);
      cursor = page.cursor;
    } while (cursor !== undefined && listed.length < MOST);
    this.#listed = listed.slice(0, MOST);
    this.#hasMore = cursor !== undefined || listed.length > MOST;
    this.#listedAt = this.#clock.now();
  }
}

function rowOf({ id, user, client, scopes, resource, since, lastUsed }: ListedGrant): GrantRow {
  return {
    key: id,
    endpoint: "",
    grant: id,
    principal: shown(user.id, MOST_ID),
    issuer: shown(user.issuer, MOST_ID),
    name: shown(user.name),
    client: shown(client.name),
    clientId: shown(client.id),
    clientKind: client.kind,
    scopes: shown(scopes.join(" ")),
    resource: shown(resource),
    since,
    usedAt: lastUsed,
  };
}
