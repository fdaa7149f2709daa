import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { UriTemplate } from "../../../src/server/uris/uri_template.ts";
import { assertLinear } from "../../support/growth.ts";

/** RFC 6570 §3.2, those of levels 1 to 3. */
const values = {
  var: "value",
  hello: "Hello World!",
  half: "50%",
  who: "fred",
  base: "http://example.com/home/",
  path: "/foo/bar",
  v: "6",
  x: "1024",
  y: "768",
  empty: "",
};

const expansions: readonly [string, string][] = [
  ["{var}", "value"],
  ["{hello}", "Hello%20World%21"],
  ["{half}", "50%25"],
  ["O{empty}X", "OX"],
  ["O{undef}X", "OX"],
  ["{x,y}", "1024,768"],
  ["{x,hello,y}", "1024,Hello%20World%21,768"],
  ["?{x,empty}", "?1024,"],
  ["?{x,undef}", "?1024"],
  ["?{undef,y}", "?768"],
  ["{+var}", "value"],
  ["{+hello}", "Hello%20World!"],
  ["{+half}", "50%25"],
  ["{base}index", "http%3A%2F%2Fexample.com%2Fhome%2Findex"],
  ["{+base}index", "http://example.com/home/index"],
  ["O{+empty}X", "OX"],
  ["{+path}/here", "/foo/bar/here"],
  ["here?ref={+path}", "here?ref=/foo/bar"],
  ["up{+path}{var}/here", "up/foo/barvalue/here"],
  ["{+x,hello,y}", "1024,Hello%20World!,768"],
  ["{+path,x}/here", "/foo/bar,1024/here"],
  ["{#var}", "#value"],
  ["{#hello}", "#Hello%20World!"],
  ["{#half}", "#50%25"],
  ["foo{#empty}", "foo#"],
  ["foo{#undef}", "foo"],
  ["{#x,hello,y}", "#1024,Hello%20World!,768"],
  ["{#path,x}/here", "#/foo/bar,1024/here"],
  ["{.who}", ".fred"],
  ["{.half,who}", ".50%25.fred"],
  ["X{.empty}", "X."],
  ["X{.undef}", "X"],
  ["{/who}", "/fred"],
  ["{/half,who}", "/50%25/fred"],
  ["{/var,empty}", "/value/"],
  ["{/var,undef}", "/value"],
  ["{;who}", ";who=fred"],
  ["{;half}", ";half=50%25"],
  ["{;empty}", ";empty"],
  ["{;v,empty,who}", ";v=6;empty;who=fred"],
  ["{;v,undef,who}", ";v=6;who=fred"],
  ["{?who}", "?who=fred"],
  ["{?x,y,empty}", "?x=1024&y=768&empty="],
  ["{?x,y,undef}", "?x=1024&y=768"],
  ["{&who}", "&who=fred"],
  ["?fixed=yes{&x}", "?fixed=yes&x=1024"],
  ["{&x,y,empty}", "&x=1024&y=768&empty="],
];

describe("UriTemplate.expand()", () => {
  for (const [template, uri] of expansions) {
    test(`[SRV-4] ${template} becomes ${uri}`, () => {
      assert.equal(new UriTemplate(template).expand(values), uri);
    });
  }

  test("leaves alone what is encoded already where reserved characters are", () => {
    assert.equal(new UriTemplate("{+a}").expand({ a: "%2F%zz[1]%5B" }), "%2F%25zz[1]%5B");
    assert.equal(new UriTemplate("a b/{a}").expand({ a: "%2F" }), "a%20b/%252F");
  });

  test("knows no variable that an object only inherits", () => {
    assert.equal(new UriTemplate("a{constructor}").expand({}), "a");
  });
});

describe("UriTemplate.match()", () => {
  const matches: readonly [string, string, Record<string, string> | undefined][] = [
    ["test://template/{id}/data", "test://template/123/data", { id: "123" }],
    ["test://template/{id}/data", "test://template/a%20%C3%A9/data", { id: "a é" }],
    ["test://template/{id}/data", "test://template//data", undefined],
    ["test://template/{id}/data", "test://template/1/2/data", undefined],
    ["test://template/{id}/data", "test://template/1/data/", undefined],
    ["test://template/{id}/data", "test://template/%zz/data", undefined],
    ["test://template/{id}/data", "test://template/%ff/data", undefined],
    ["test://template/{id}/data", "TEST://template/1/data", undefined],
    ["a://{id}", "a://..%2Fb", { id: "../b" }],
    ["a://b", "a://b", {}],
    ["a://b", "a://bc", undefined],
    ["{a}-{b}", "x-y-z", { a: "x-y", b: "z" }],
    ["{a}{b}", "xyz", { a: "xy", b: "z" }],
    ["{+a}x{b}", "p/xx/qxr", { a: "p/xx/q", b: "r" }],
    ["{+a}x{b}", "pxq/r", undefined],
    ["file:///{+path}", "file:///a/b%20c/%2F", { path: "a/b c/%2F" }],
    ["file:///{+path}", "file:///", undefined],
    ["{x,y}", "1,2", { x: "1", y: "2" }],
    ["{x,y}", "1", { x: "1" }],
    ["a{#x}", "a#b/c", { x: "b/c" }],
    ["a{#x}", "a", {}],
    ["a{.x}", "a.tar.gz", { x: "tar.gz" }],
    ["a{.x,y}", "a.tar.gz", { x: "tar", y: "gz" }],
    ["a{/x,y}", "a/b", { x: "b" }],
    ["a{/x,y}", "a", {}],
    ["a{/x,y}", "a/b/c/d", undefined],
    ["a{;x,y}", "a;x=1;y", { x: "1", y: "" }],
    ["a{;x,y}", "a;y=2", { y: "2" }],
    ["a{?x,y}", "a?x=1&y=2", { x: "1", y: "2" }],
    ["a{?x,y}", "a?y=2", { y: "2" }],
    ["a{?x,y}", "a&y=2", undefined],
    ["a{?x,y}", "a?x=", { x: "" }],
    ["a{?x,y}", "a?x", undefined],
    ["a{?x,y}", "a?y=2&x=1", undefined],
    ["a{?x,y}", "a", {}],
    ["a?b=c{&x,y}", "a?b=c&y=/d?", { y: "/d?" }],
    ["a{?x,y,z}", "a?x=1&z=3", { x: "1", z: "3" }],
    ["a?q={q}&r={r}", "a?q=1&r=2", { q: "1", r: "2" }],
    ["a?q={q}&r={r}", "a?q=1&r=2&r=3", undefined],
    ["a://{a_1.b}", "a://x", { "a_1.b": "x" }],
    ["a é/{b}", "a%20%C3%A9/c", { b: "c" }],
  ];
  for (const [template, uri, expected] of matches) {
    test(`[SRV-4] ${template} on ${uri} is ${JSON.stringify(expected)}`, () => {
      assert.deepEqual(new UriTemplate(template).match(uri), expected);
    });
  }

  test("[SRV-4] finds again what was filled in, for every operator", () => {
    const named = [";", "?", "&"];
    const value = fc.string({ unit: "grapheme", minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(
        fc.constantFrom("", "+", "#", ".", "/", ";", "?", "&"),
        fc.array(fc.option(value, { nil: undefined }), { minLength: 1, maxLength: 4 }),
        (operator, list) => {
          // Without names, what is left out can only be left out at the end
          const cut = list.includes(undefined) ? list.slice(0, list.indexOf(undefined)) : list;
          const kept = named.includes(operator) ? list : cut;
          if (kept.length === 0 && ["", "+"].includes(operator)) return;
          // Reserved characters stay as they are there, so a comma could be anybody's
          const clean = (text: string | undefined) => {
            if (operator === "+" || operator === "#") return text?.replaceAll(/[,%[\]]/g, "_");
            return operator === "." ? text?.replaceAll(".", "_") : text;
          };
          const given = Object.fromEntries(
            kept.map((text, i) => [`v${i}`, clean(text)]).filter(([, text]) => text !== undefined),
          );
          const names = list.map((_, i) => `v${i}`).join(",");
          const template = new UriTemplate(`a://b{${operator}${names}}`);
          assert.deepEqual(template.match(template.expand(given)), given);
        },
      ),
      { numRuns: 500 },
    );
  });

  test("[SRV-4] agrees with a backtracking regular expression on which readings fit", () => {
    const part = fc.constantFrom("a", "b", "/", "-", "{1}", "{2}", "{+3}", "{+4}");
    const sources: Record<string, string> = {
      "{1}": "([^/?#,&]+)",
      "{2}": "([^/?#,&]+)",
      "{+3}": "(.+)",
      "{+4}": "(.+)",
    };
    fc.assert(
      fc.property(
        fc.uniqueArray(part, { maxLength: 6, selector: (text) => text.length > 1 ? text : {} }),
        fc.string({ unit: fc.constantFrom("a", "b", "/", "-"), maxLength: 12 }),
        (parts, uri) => {
          const source = parts.map((text) => sources[text] ?? text).join("");
          const found = new RegExp(`^${source}$`).exec(uri)?.slice(1);
          const matched = new UriTemplate(parts.join("")).match(uri);
          const names = parts.filter((text) => text.length > 1).map((text) =>
            text.replace(/[{}+]/g, "")
          );
          assert.deepEqual(names.map((name) => matched?.[name]), names.map((_, i) => found?.[i]));
          assert.equal(matched === undefined, found === undefined);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test("[SRV-4] takes no longer for a URI made to be slow", async () => {
    const names = Array.from({ length: 20 }, (_, i) => `{+v${i}}`).join("");
    const evil: readonly [string, string][] = [
      [`${names}!`, "a"],
      ["{a}{b}{c}{d}{e}{f}{g}/", "a"],
      ["{+a},{+b},{+c},{+d}!", ","],
      ["{?a,b,c,d,e}!", "?a="],
    ];
    for (const [template, part] of evil) {
      const compiled = new UriTemplate(template);
      await assertLinear(template, 8_000, (length) => {
        assert.equal(compiled.match(part.repeat(length / part.length)), undefined);
      });
    }
  });

  test("[SRV-4] refuses a URI that is too long", () => {
    const template = new UriTemplate("a://{+b}");
    assert.equal(template.match(`a://${"b".repeat(8_188)}`)?.b?.length, 8_188);
    assert.equal(template.match(`a://${"b".repeat(8_189)}`), undefined);
  });
});

describe("new UriTemplate()", () => {
  const malformed = [
    "{",
    "a{b",
    "}",
    "a}b",
    "{}",
    "{+}",
    "{a,}",
    "{a b}",
    "{=a}",
    "{|a}",
    "{a*}",
    "{a:3}",
    "{a.}",
    "{a{b}}",
    "{a}{a}",
    "{a,a}",
  ];
  for (const template of malformed) {
    test(`[SRV-4] refuses ${template}`, () => {
      assert.throws(() => new UriTemplate(template), TypeError);
    });
  }

  test("refuses a template that is too long", () => {
    assert.throws(() => new UriTemplate("a".repeat(2_049)), RangeError);
    assert.equal(new UriTemplate("a".repeat(2_048)).match("a".repeat(2_048)) !== undefined, true);
  });

  test("tells its text and its variables", () => {
    const template = new UriTemplate("a://{b}{?c,d}");
    assert.equal(`${template}`, "a://{b}{?c,d}");
    assert.deepEqual(template.variableNames, ["b", "c", "d"]);
  });
});
