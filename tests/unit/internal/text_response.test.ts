import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { inspect } from "node:util";
import { TextResponse } from "../../../src/internal/text_response.ts";

const TEXT = '{"a":"é😀\u2028"}';
const INIT: ResponseInit = {
  status: 404,
  statusText: "Not Here",
  headers: { "content-type": "a/b", "x-more": "1" },
};

/**
 * Whether responses of this kind are made here. Elsewhere the runtime's own differ from the standard in
 * what is left out, and in halves of characters.
 */
const MADE_HERE = !("Deno" in globalThis) && !("Bun" in globalThis);

/** One of ours and one of the runtime's own, made alike. */
function both(text = TEXT, init: ResponseInit = INIT): readonly [Response, Response] {
  return [new TextResponse(text, init), new Response(text, init)];
}

const LOOKS: Readonly<Record<string, (response: Response) => unknown>> = {
  status: ({ status }) => status,
  statusText: ({ statusText }) => statusText,
  ok: ({ ok }) => ok,
  type: ({ type }) => type,
  url: ({ url }) => url,
  redirected: ({ redirected }) => redirected,
  bodyUsed: ({ bodyUsed }) => bodyUsed,
  "a body": ({ body }) => body instanceof ReadableStream,
  "instanceof": (response) => response instanceof Response,
  headers: ({ headers }) => [...headers],
  "Object.prototype.toString": (response) => Object.prototype.toString.call(response),
};

const READS: Readonly<Record<string, (response: Response) => Promise<unknown>>> = {
  "text()": (response) => response.text(),
  "json()": (response) => response.json(),
  "arrayBuffer()": async (response) => new Uint8Array(await response.arrayBuffer()),
  "bytes()": (response) => response.bytes(),
  "blob()": async (response) => {
    const blob = await response.blob();
    return [blob.type, await blob.text()];
  },
  "a reader": async ({ body }) => {
    const chunks: number[] = [];
    for await (const chunk of body ?? []) chunks.push(...chunk);
    return chunks;
  },
  "clone()": async (response) => {
    const copy = response.clone();
    const { status, statusText, headers } = copy;
    return [status, statusText, [...headers], await copy.text(), await response.text()];
  },
  "new Response()": async (response) => {
    const copy = new Response(response.body, response);
    return [copy.status, copy.statusText, [...copy.headers], await copy.text()];
  },
};

describe("TextResponse", () => {
  const inits: readonly ResponseInit[] = [
    INIT,
    ...[200, 299, 300].map((status) => ({ ...INIT, status })),
    { headers: new Headers(INIT.headers) },
    { headers: [["content-type", "a/b"], ["a", "1"], ["a", "2"]] },
    ...MADE_HERE ? [{}, { headers: { "x-more": "1" } }] : [],
  ];
  for (const [name, look] of Object.entries(LOOKS)) {
    test(`looks like a response of the runtime's own: ${name}`, () => {
      for (const init of inits) {
        const [ours, own] = both(TEXT, init);
        assert.deepEqual(look(ours), look(own));
      }
    });
  }

  for (const [name, read] of Object.entries(READS)) {
    test(`reads like a response of the runtime's own: ${name}`, async () => {
      for (const text of [TEXT, "{}", ...MADE_HERE ? ['"\ud800"'] : []]) {
        const [ours, own] = both(text);
        assert.deepEqual(await read(ours), await read(own));
      }
    });

    test(`is read once, by ${name}`, async () => {
      for (const before of ["text()", "arrayBuffer()"]) {
        const [ours, own] = both();
        for (const response of [ours, own]) {
          const reading = READS[before]?.(response);
          assert.equal(response.bodyUsed, true);
          await reading;
          assert.equal(response.bodyUsed, true);
          await assert.rejects(async () => await read(response), TypeError);
        }
      }
    });
  }

  test("reads an empty text, and what is no JSON, like a response of the runtime's own", async () => {
    for (const response of both("")) assert.equal(await response.text(), "");
    for (const response of both("")) assert.deepEqual(await READS["a reader"]?.(response), []);
    for (const response of both("{")) await assert.rejects(response.json(), SyntaxError);
  });

  test("reads forms like a response of the runtime's own", async () => {
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    for (const response of both("a=1&b=2", { headers })) {
      assert.deepEqual([...await response.formData()], [["a", "1"], ["b", "2"]]);
    }
  });

  test("has one body, and one set of headers that can be changed", async () => {
    const [ours] = both();
    const { headers } = ours;
    assert.equal(ours.body, ours.body);
    headers.set("x-more", "2");
    assert.equal(ours.headers, headers);
    assert.equal(ours.clone().headers.get("x-more"), "2");
    assert.equal(await ours.text(), TEXT);
  });

  test("leaves the headers alone that it is made of", () => {
    const headers = new Headers({ "content-type": "a/b" });
    const ours = new TextResponse(TEXT, { headers });
    ours.headers.set("content-type", "c/d");
    assert.equal(headers.get("content-type"), "a/b");
    assert.equal(new TextResponse(TEXT, { headers }).headers.get("content-type"), "a/b");
  });

  test("has its text until somebody begins to read, in whatever way", async () => {
    for (const name of ["text()", "json()", "arrayBuffer()", "a reader"]) {
      const ours = new TextResponse(TEXT, INIT);
      assert.equal(ours.unread, TEXT);
      ours.clone();
      assert.equal(ours.unread, TEXT);
      await READS[name]?.(ours);
      assert.equal(ours.unread, undefined);
    }
  });

  test("is printed as what it is", { skip: !MADE_HERE && "made on Node only" }, () => {
    assert.equal(inspect(both()[0]), inspect(both()[1]));
  });
});
