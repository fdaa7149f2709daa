/**
 * Fetches everything that a server lists, once.
 *
 * @module
 */
import { fetchList } from "../../gateway/client/fetch_list.ts";
import { checkOptions } from "../../gateway/options.ts";
import { LIST_KINDS, type ListKind } from "../../gateway/shared/list_kinds.ts";
import type { Backend } from "../serve/backend.ts";
import type { ServerEntry } from "../config/schema.ts";
import { ask, openInit, PRINCIPAL, REQUEST, TRIAL_MS } from "../check/trial.ts";
import type { JsonObject } from "../../../mod.ts";

/** The lists of a server. */
export type Definitions = Readonly<Record<ListKind, readonly JsonObject[]>>;

/**
 * Fetches the lists of a server, as it gives them.
 *
 * @throws If the server can't be reached
 */
export async function definitionsOf(
  name: string,
  entry: ServerEntry,
  { upstream }: Pick<Backend, "upstream">,
): Promise<Definitions> {
  const limit = new AbortController();
  const { signal } = limit;
  const timer = setTimeout(
    () => limit.abort(new Error(`Check why it hangs: no answer in ${TRIAL_MS / 1_000} seconds`)),
    TRIAL_MS,
  );
  const { limits } = checkOptions({});
  try {
    const session = await upstream(entry).open(openInit(name, signal, []));
    try {
      const lists = await Promise.all(LIST_KINDS.map(async (kind) =>
        [
          kind,
          await fetchList({
            upstream: name,
            facts: session.facts,
            kind,
            limits,
            rename: (own) => own,
            report() {},
            request: (method, params) =>
              session.request({
                method,
                params,
                signal,
                principal: PRINCIPAL,
                request: REQUEST,
                notify() {},
                ask,
              }),
          }),
        ] as const
      ));
      // They are all of the kinds
      return Object.fromEntries(lists) as Definitions;
    } finally {
      await session.close();
    }
  } finally {
    clearTimeout(timer);
  }
}
