/**
 * Ratios of two processes that work in turn: what the machine does to the one it does to the other.
 *
 * @module
 */

/** One slice of work of each of two processes. */
export interface Pair<Slice> {
  readonly subject: Slice;
  readonly reference: Slice;
}

/** Something that works for a while and tells how it went. */
export type Slicer<Slice> = () => Promise<Slice>;

/** Lets two work in turn, beginning with either as often as with the other. */
export async function alternate<Slice>(
  subject: Slicer<Slice>,
  reference: Slicer<Slice>,
  pairs: number,
): Promise<Pair<Slice>[]> {
  const done: Pair<Slice>[] = [];
  for (let i = 0; i < pairs; i++) {
    if (i % 2 === 0) {
      const first = await subject();
      done.push({ subject: first, reference: await reference() });
    } else {
      const first = await reference();
      done.push({ subject: await subject(), reference: first });
    }
  }
  return done;
}

/** The middle one of some numbers, or the mean of the two in the middle. `NaN` without any. */
export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/** How far the middle half of some numbers lies from their median, as a share of it. */
export function spreadOf(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))] ?? NaN;
  return (at(0.75) - at(0.25)) / 2 / median(sorted);
}
