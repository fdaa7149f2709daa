/**
 * Bounds the work over what strangers send: a hundred bytes must not cost a second.
 *
 * @module
 */

/** Says that a value would take more work than it may. */
export class TooMuchWorkError extends RangeError {}

/** A number of steps that a walk may take. */
export class Work {
  #left: number;

  constructor(steps: number) {
    this.#left = steps;
  }

  /**
   * Counts steps before they are taken.
   *
   * @throws {TooMuchWorkError} If there were too many
   */
  take(steps = 1): void {
    this.#left -= steps;
    if (this.#left < 0) throw new TooMuchWorkError("The value takes too much work");
  }
}

/**
 * Tells whether a value consists of at most so many values, nested at most so deep: any walk that visits
 * each of them once is then bounded, in time and in its stack.
 */
export function isSimple(value: unknown, mostValues: number, mostDepth: number): boolean {
  let level: unknown[] = [value];
  let values = 0;
  for (let depth = 0; level.length > 0; depth++) {
    values += level.length;
    if (values > mostValues || depth > mostDepth) return false;
    const next: unknown[] = [];
    for (const each of level) {
      if (typeof each !== "object" || each === null) continue;
      for (const part of Object.values(each)) next.push(part);
    }
    level = next;
  }
  return true;
}
