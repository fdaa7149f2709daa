/**
 * Lists the grants of sign-in, and ends them.
 *
 * @module
 */
import type { Clock } from "../../../mod.ts";
import { Listing } from "./listing.ts";
import { MOST_ID, shown } from "./texts.ts";
import type { GrantRow, GrantSource, ListedGrant } from "./types.ts";

/** The grants, as they were listed last. */
export class GrantDirectory {
  readonly #grants: GrantSource;
  readonly #listing: Listing<ListedGrant>;

  /** Creates a directory; nothing is read yet. */
  constructor(grants: GrantSource, clock: Clock) {
    this.#grants = grants;
    this.#listing = new Listing(async (cursor) => {
      const { grants: items, cursor: next } = await grants.list({ cursor });
      return { items, cursor: next };
    }, clock);
  }

  /** Returns the rows, at most 1,000 and not older than five seconds, and whether there are more. */
  async rows(): Promise<{ readonly rows: readonly GrantRow[]; readonly hasMore: boolean }> {
    const { items, hasMore } = await this.#listing.latest();
    return { rows: items.map(rowOf), hasMore };
  }

  /** Ends a grant. Returns it, or `undefined` if there was none. */
  async end(id: string): Promise<ListedGrant | undefined> {
    const grant = await this.#listing.find((each) => each.id === id);
    const ended = await this.#grants.end(id);
    this.#listing.expire();
    return ended ? grant : undefined;
  }

  /** Ends all grants of a user, as rows show the user. */
  async endUser(
    principal: string,
    issuer: string,
  ): Promise<{ readonly user: ListedGrant["user"]; readonly count: number } | undefined> {
    const grant = await this.#listing.find(({ user }) =>
      shown(user.id, MOST_ID) === principal && shown(user.issuer, MOST_ID) === issuer
    );
    if (grant === undefined) return undefined;
    const { user } = grant;
    const count = await this.#grants.endUser(user);
    this.#listing.expire();
    return { user, count };
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
