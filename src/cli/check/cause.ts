/**
 * Finds the cause of a failure in what a program wrote before it ended.
 *
 * @module
 */

/** A line of a stack, of source code that it shows, or of what stands around one. */
const FRAME =
  /^\s*(?:at\s|File "|\^+\s*$|~+\^|\.{3}|node:internal|Node\.js v|goroutine \d|\d+: |stack backtrace|\[?Symbol)/;
/** A line that names an error: `Error: …`, `ValueError: …`, `panic: …`, `error: …`. */
const NAMED =
  /^(?:[\w.:]*(?:Error|Exception)\b|(?:panic|fatal|Fatal|FATAL|error|ERROR)\b|thread '.*' panicked)/;
/** A line that sounds like one. */
const SOUNDS =
  /\b(?:error|cannot|can't|could not|not found|no such|failed|denied|missing|required|usage)\b/i;
/** Where the error is the last line, after the stack. */
const STACK_FIRST = /^Traceback \(most recent call last\)/;
/** The lines that are shown. */
const MOST_LINES = 3;

/** Returns the lines that say why, without those of its stack; the last ones if none sounds like a cause. */
export function causeIn(lines: readonly string[]): readonly string[] {
  const plain = lines.filter((line) => line.trim() !== "" && !FRAME.test(line));
  const named = (line: string): boolean => NAMED.test(line.trim());
  const sounds = (line: string): boolean => SOUNDS.test(line);
  const at = lines.some((line) => STACK_FIRST.test(line))
    ? plain.findLastIndex(named)
    : plain.findIndex(named);
  const begin = at >= 0 ? at : plain.findIndex(sounds);
  if (begin < 0) return plain.slice(-MOST_LINES);
  // What follows may say more: it is indented, or has words of its own
  const more = plain.slice(begin + 1, begin + MOST_LINES).filter((line) =>
    !/^[\s{}()[\];]*$/.test(line) && !STACK_FIRST.test(line)
  );
  return [plain[begin] ?? "", ...more];
}
