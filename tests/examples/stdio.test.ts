import assert from "node:assert/strict";
import { test } from "node:test";
import { PipedChild } from "../support/piped_child.ts";

test("[STD-1, STD-6] examples/stdio.ts adds, and prints to stderr", async () => {
  await using child = new PipedChild("../examples/stdio.ts").read();
  await child.initialize();
  assert.equal(await child.call(1, "add", { a: 2, b: 3 }), "5");
  await child.until(() => child.errors.includes("Adding 2 and 3"), "the print");
  child.closeInput();
  assert.equal(await child.ended, 0, child.errors);
});
