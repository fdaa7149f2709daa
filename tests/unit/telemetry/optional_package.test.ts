import assert from "node:assert/strict";
import { test } from "node:test";
import { installed } from "../../../src/internal/installed.ts";

test("[TEL-10] a package that isn't installed is named, with the command that installs it", async () => {
  const cause = new Error("Cannot find package");
  await assert.rejects(installed("some-package", Promise.reject(cause)), {
    message: 'Install the package "some-package" to use this: npm install some-package',
    cause,
  });
  assert.equal(await installed("some-package", Promise.resolve(1)), 1);
});
