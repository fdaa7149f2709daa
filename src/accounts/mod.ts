/**
 * Gives each user of a gateway an account of their own at every upstream that wants one.
 *
 * @module
 */
export { accounts } from "./accounts.ts";
export { clientCredentials, type ClientCredentialsOptions } from "./client_credentials.ts";
export type { SubjectToken, SubjectTokenSource } from "./caller_tokens.ts";
export type { ClientKeyOptions } from "./client_keys.ts";
export { type IdentityProviderOptions, idJag, type IdJagOptions } from "./id_jag.ts";
export type { ServerAccess } from "./settings.ts";
export { tokenExchange, type TokenExchangeOptions } from "./token_exchange.ts";
export type {
  AccountAuthOptions,
  AccountEvent,
  Accounts,
  AccountsLifetimes,
  AccountsOptions,
  AccountStep,
  BrowserUserSource,
  UserAccount,
} from "./types.ts";
export type { Clock, MaybePromise, Principal } from "../../mod.ts";
export type { Store } from "../cluster/mod.ts";
export type { UserAuth, UserAuthContext } from "../gateway/mod.ts";
