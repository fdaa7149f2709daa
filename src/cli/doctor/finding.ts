/**
 * Defines what the doctor finds.
 *
 * @module
 */

/** Who can mend what was found. */
export type Whose =
  | "the URL"
  | "the network"
  | "a proxy"
  | "the server"
  | "the server or a proxy"
  | "the authorization server"
  | "this machine"
  | "the token";

/** What came of a step. */
export type Outcome = "passed" | "failed" | "warning" | "skipped";

/** One thing that was looked at. */
export interface Finding {
  /** The step, in the words of the docs. */
  readonly step: string;
  readonly outcome: Outcome;
  /** What was seen. */
  readonly says: string;
  /** Whose fault it is. */
  readonly whose?: Whose;
  /** The rule that it breaks. */
  readonly clause?: string;
  /** What to change. */
  readonly fix?: string;
}

/** What was found, without the name of its step. */
export type StepVerdict = Omit<Finding, "step">;

/** Says that a step has passed. */
export function passed(says: string): StepVerdict {
  return { outcome: "passed", says };
}

/** Says why a step was left out. */
export function skipped(says: string): StepVerdict {
  return { outcome: "skipped", says };
}

/** Says what is wrong. */
export function failed(whose: Whose, says: string, fix: string, clause?: string): StepVerdict {
  return { outcome: "failed", whose, says, fix, ...clause !== undefined && { clause } };
}

/** Says what is wrong for some clients only. */
export function warning(whose: Whose, says: string, fix: string, clause?: string): StepVerdict {
  return { ...failed(whose, says, fix, clause), outcome: "warning" };
}
