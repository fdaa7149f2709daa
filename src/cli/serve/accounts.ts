/**
 * Opens the accounts of users at servers that want a sign-in of each, for `mooring serve`: their pages, and
 * what is logged, counted and recorded of each step.
 *
 * @module
 */
import { type AccountEvent, type Accounts, accounts } from "../../accounts/mod.ts";
import type { SignIn, SignInEvent } from "../../signin/mod.ts";
import { baseOf } from "../config/sign_in.ts";
import { CliError, messageOf } from "../errors.ts";
import type { Level } from "../log.ts";
import type { CommandSignInInit } from "./sign_in.ts";

const LEVELS: Readonly<Record<SignInEvent["outcome"], Level>> = {
  passed: "info",
  refused: "warn",
  failed: "error",
};

/**
 * Creates the accounts of a configuration with `signIn`.
 *
 * @param keys What sign-in seals its own with
 * @throws {CliError} If the store that the command has can't hold them
 */
export function openAccounts(
  init: CommandSignInInit,
  front: SignIn,
  keys: readonly string[],
): Accounts {
  const { config, stores } = init;
  const { signIn } = config;
  try {
    return accounts({
      url: signIn?.issuer ?? baseOf(config),
      browser: front.browser,
      ...stores !== undefined && { store: stores.store(undefined) },
      ...keys.length > 0 && { keys },
      ...signIn?.allowInsecure !== undefined && { allowInsecure: signIn.allowInsecure },
      onEvent: reporter(init),
    });
  } catch (error) {
    throw new CliError(`signIn: ${messageOf(error)}`);
  }
}

/** Returns what logs, counts and records each step of an account. */
function reporter({ log, audit, metrics }: CommandSignInInit): (event: AccountEvent) => void {
  const count = metrics?.counter(
    "mooring_account_steps_total",
    "Steps of users' accounts at servers, and what became of them",
    ["step", "outcome", "reason"],
  );
  return ({ type, error, ...facts }) => {
    const { step, outcome, reason, user, browserUser } = facts;
    const message = error === undefined ? {} : { message: messageOf(error) };
    // Tokens are renewed every few minutes
    const level = step === "refresh" && outcome === "passed" ? "debug" : LEVELS[outcome];
    log(level, type, { ...facts, ...message });
    const [code = ""] = reason.split(" in the session ");
    count?.({ step, outcome, reason: code });
    const byStrangers = user === undefined && browserUser === undefined;
    audit?.note({ act: type, byStrangers, detail: { ...facts } });
  };
}
