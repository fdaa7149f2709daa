import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { textResponse, unreadText } from "../../../src/internal/whole.ts";

const TEXT = 'data: {"a":"é😀\u2028"}\n\n';

describe("textResponse()", () => {
  test("is a response like any other", async () => {
    const response = textResponse(TEXT, { status: 404, headers: { "content-type": "a/b" } });
    assert.ok(response instanceof Response);
    assert.equal(response.status, 404);
    assert.deepEqual([...response.headers], [["content-type", "a/b"]]);
    assert.equal(await response.text(), TEXT);
    assert.equal(textResponse(TEXT, {}).status, 200);
  });
});

describe("unreadText()", () => {
  test("is the text, as often as one asks, and leaves the body alone", async () => {
    for (const text of [TEXT, ""]) {
      const response = textResponse(text, {});
      assert.equal(unreadText(response), text);
      assert.equal(unreadText(response), text);
      assert.equal(response.bodyUsed, false);
      assert.equal(await response.text(), text);
    }
  });

  test("knows nothing of other responses, nor of copies", async () => {
    const response = textResponse(TEXT, {});
    const others = [
      new Response(TEXT),
      new Response(null),
      Response.json({}),
      response.clone(),
      new Response(response.body, response),
    ];
    for (const other of others) assert.equal(unreadText(other), undefined);
    assert.equal(await others[3]?.text(), TEXT);
  });

  const ways: Readonly<Record<string, (response: Response) => Promise<unknown>>> = {
    "text()": (response) => response.text(),
    "arrayBuffer()": (response) => response.arrayBuffer(),
    "a reader": async (response) => await response.body?.getReader().read(),
    "a reader that cancels": async (response) => await response.body?.cancel(),
  };
  for (const [name, read] of Object.entries(ways)) {
    test(`is gone once the body was read, by ${name}`, async () => {
      const response = textResponse(TEXT, {});
      await read(response);
      assert.equal(unreadText(response), undefined);
    });
  }

  test("is gone as soon as reading has begun", async () => {
    const response = textResponse(TEXT, {});
    const reading = response.text();
    assert.equal(unreadText(response), undefined);
    assert.equal(await reading, TEXT);
  });
});
