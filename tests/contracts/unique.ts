/**
 * Names that no other test uses, so that suites can share one store.
 *
 * @module
 */
import { randomText } from "../../src/internal/random.ts";

/** A text that is an id of nothing yet. */
export function uniqueId(): string {
  return randomText(32);
}
