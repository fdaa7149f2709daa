/**
 * Takes over the principal that an app has authenticated.
 *
 * @module
 */
import { Unauthorized } from "../auth/errors.ts";
import { isPromise, type MaybePromise } from "../internal/types.ts";
import type { Principal } from "../protocol/exchange.ts";

/**
 * Checks that a function was given that returns the principal from what a host passes on.
 *
 * @throws {TypeError} If `pick` is not a function
 */
export function checkPick(pick: unknown, from: string): void {
  if (typeof pick === "function") return;
  throw new TypeError(`Give a function that returns the principal from ${from}: ${typeof pick}`);
}

/**
 * Returns the principal, once it is known.
 *
 * @throws {Unauthorized} If there is none
 */
export function required(principal: MaybePromise<Principal | undefined>): MaybePromise<Principal> {
  return isPromise(principal) ? principal.then(known) : known(principal);
}

function known(principal: Principal | undefined): Principal {
  if (principal === undefined) throw new Unauthorized();
  return principal;
}
