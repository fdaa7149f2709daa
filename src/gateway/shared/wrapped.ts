/**
 * Changes some members of an upstream and passes on all others.
 *
 * @module
 */
import type { Upstream } from "../types.ts";

/** Every member of an upstream, none left out: the compiler asks for a new one here. */
type Members = { readonly [Name in keyof Required<Upstream>]: Upstream[Name] };

/**
 * Returns an upstream that is like another one but for some members.
 *
 * @param own The members that differ
 */
export function wrapped(upstream: Upstream, own: Partial<Upstream>): Upstream {
  const { kind, identity, lists, signIn, cache, forwards, usersBy, share } = upstream;
  const members: Members = {
    ...{ kind, identity, lists, signIn, cache, forwards, usersBy, share },
    get programs() {
      return upstream.programs;
    },
    endUnused: (mayEnd) => upstream.endUnused?.(mayEnd),
    open: (init) => upstream.open(init),
    toolScopes: (tool) => upstream.toolScopes?.(tool),
    longCalls: (tool) => upstream.longCalls?.(tool),
    refuseLongCalls: () => upstream.refuseLongCalls?.() ?? (() => {}),
    answerOnce: (tool) => upstream.answerOnce?.(tool),
    refuseAnswersOnce: () => upstream.refuseAnswersOnce?.() ?? (() => {}),
  };
  // Not by spreading, which would read the number of programs once
  return Object.defineProperties(members, Object.getOwnPropertyDescriptors(own));
}
