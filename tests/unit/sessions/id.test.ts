import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { isSessionId, mintSessionId } from "../../../src/sessions/id.ts";

describe("session ids", () => {
  test("[SES-1] carry 192 random bits as visible ASCII", () => {
    const ids = Array.from({ length: 200 }, () => mintSessionId());
    assert.equal(new Set(ids).size, ids.length);
    for (const id of ids) {
      assert.match(id, /^[A-Za-z0-9_-]{32}$/);
      assert.ok(isSessionId(id));
    }
    // Every place takes (nearly) every one of the 64 characters: nothing in an id is fixed.
    for (let i = 0; i < 32; i++) {
      assert.ok(new Set(ids.map((id) => id[i])).size > 40, `place ${i}`);
    }
  });

  test("[SES-10] nothing else looks like one", () => {
    const id = mintSessionId();
    const texts = [
      "",
      "__proto__",
      "constructor",
      id.slice(1),
      `${id}a`,
      `${id}\n`,
      ` ${id.slice(1)}`,
    ];
    texts.push(`${id.slice(1)}=`, `${id.slice(1)}é`, `${id}, ${id}`);
    for (const text of texts) assert.equal(isSessionId(text), false, JSON.stringify(text));
  });
});
