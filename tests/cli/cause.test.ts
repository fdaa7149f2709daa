import assert from "node:assert/strict";
import { test } from "node:test";
import { causeIn } from "../../src/cli/check/cause.ts";

/** What programs write before they end, and the first line of the cause. */
const OUTPUTS: readonly (readonly [name: string, output: string, cause: string])[] = [
  [
    "Node",
    `node:internal/modules/cjs/loader:1143
  throw err;
  ^

Error: Cannot find module '/srv/index.js'
    at Module._resolveFilename (node:internal/modules/cjs/loader:1140:15)
    at Module._load (node:internal/modules/cjs/loader:981:27)
    at node:internal/main/run_main_module:28:49 {
  code: 'MODULE_NOT_FOUND',
  requireStack: []
}

Node.js v20.11.0`,
    "Error: Cannot find module '/srv/index.js'",
  ],
  [
    "Python",
    `Traceback (most recent call last):
  File "/srv/main.py", line 3, in <module>
    import notes
  File "/srv/notes.py", line 1, in <module>
    import missing
ModuleNotFoundError: No module named 'missing'`,
    "ModuleNotFoundError: No module named 'missing'",
  ],
  [
    "Rust",
    `thread 'main' panicked at src/main.rs:4:5:
API_KEY is not set
stack backtrace:
   0: rust_begin_unwind
   1: core::panicking::panic_fmt`,
    "thread 'main' panicked at src/main.rs:4:5:",
  ],
  [
    "Go",
    `2026/01/02 03:04:05 starting
panic: missing configuration

goroutine 1 [running]:
main.main()
	/srv/main.go:7 +0x1d
exit status 2`,
    "panic: missing configuration",
  ],
  [
    "Deno",
    `error: Uncaught (in promise) NotFound: No such file (os error 2)
    at async file:///srv/main.ts:1:1`,
    "error: Uncaught (in promise) NotFound: No such file (os error 2)",
  ],
  [
    "a line of source before the error",
    `[eval]:1
console.error("x"); throw new Error("No API_KEY")
                    ^

Error: No API_KEY
    at [eval]:1:27`,
    "Error: No API_KEY",
  ],
  ["a shell", "starting\nsh: 1: nothing: not found\nbye", "sh: 1: nothing: not found"],
  ["words", "Set API_KEY", "Set API_KEY"],
  ["nothing", "", ""],
];

for (const [name, output, cause] of OUTPUTS) {
  test(`[CMD-3] the cause is quoted, not the stack: ${name}`, () => {
    const found = causeIn(output.split("\n"));
    assert.equal(found[0] ?? "", cause);
    assert.ok(found.length <= 3);
    assert.ok(
      !found.some((line) => /^\s*at |File "|goroutine|Node\.js v/.test(line)),
      found.join("|"),
    );
  });
}
