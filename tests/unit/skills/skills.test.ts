import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { isObject, type JsonObject } from "../../../src/protocol/jsonrpc.ts";
import { McpServer } from "../../../src/server/server.ts";
import { skills, type SkillsOptions } from "../../../src/skills/mod.ts";
import { flush } from "../../support/clock.ts";
import { FakeHost } from "../../support/exchange.ts";
import { rejectsWith } from "../server/helpers.ts";
import { manifest, World } from "./support.ts";

const PNG = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0xff, 0x00]);
const GREETER = {
  "templates/formal.md": "Good day",
  "templates/more/a b.txt": "\ufeffHi\r\n",
  "SKILL.md": manifest("greeter", "license: MIT\n"),
  "logo.png": PNG,
  "empty": "",
};

function digest(bytes: string | Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** The URIs and media types of a directory's children. */
async function children(world: World, uri: string): Promise<unknown> {
  const { resources } = await world.send("resources/directory/read", { uri });
  return Object.fromEntries((resources as JsonObject[]).map((each) => [each.uri, each.mimeType]));
}

describe("registerSkill()", () => {
  test("[EXT-8] lists the skill with every file, its size and its digest", async () => {
    const world = new World();
    const { uri } = await world.skills.registerSkill(GREETER);
    assert.equal(uri, "skill://greeter/SKILL.md");
    const entry = {
      uri,
      frontmatter: { name: "greeter", description: "Does greeter.", license: "MIT" },
      resources: [
        ["SKILL.md", GREETER["SKILL.md"]],
        ["empty", ""],
        ["logo.png", PNG],
        ["templates/formal.md", "Good day"],
        ["templates/more/a%20b.txt", "\ufeffHi\r\n"],
      ].map(([path, bytes = ""]) => ({
        uri: `skill://greeter/${path}`,
        digest: digest(bytes),
        size: typeof bytes === "string" ? new TextEncoder().encode(bytes).length : bytes.length,
      })),
    };
    const cache = { ttlMs: 0, cacheScope: "private" };
    assert.deepEqual(await world.send("skills/list"), {
      resultType: "complete",
      skills: [entry],
      ...cache,
    });
    assert.deepEqual(await world.send("skills/get", { uri }), {
      resultType: "complete",
      skill: entry,
      ...cache,
    });
  });

  test("[EXT-8] what resources/read gives has the bytes that the digest is of", async () => {
    const world = new World();
    await world.skills.registerSkill(GREETER);
    const { skills } = await world.send("skills/list");
    const [{ resources }] = skills as [{ resources: { uri: string; digest: string }[] }];
    for (const { uri, digest: expected } of resources) {
      const { text, blob } = await world.read(uri);
      const bytes = typeof text === "string"
        ? new TextEncoder().encode(text)
        : Uint8Array.from(atob(String(blob)), (char) => char.charCodeAt(0));
      assert.equal(digest(bytes), expected, uri);
    }
    assert.equal((await world.read("skill://greeter/logo.png")).mimeType, "image/png");
    assert.equal((await world.read("skill://greeter/SKILL.md")).mimeType, "text/markdown");
    assert.equal((await world.read("skill://greeter/empty")).mimeType, "text/plain");
  });

  test("[EXT-8] takes what is in memory as it is at that moment", async () => {
    const world = new World();
    const bytes = PNG.slice();
    const registered = world.skills.registerSkill({ "SKILL.md": manifest("a"), "x": bytes });
    bytes.fill(0);
    await registered;
    const { blob } = await world.read("skill://a/x");
    assert.deepEqual([...atob(String(blob))].map((char) => char.charCodeAt(0)), [...PNG]);
  });

  test("[EXT-8] makes resources that clients of every version can list and read", async () => {
    const world = new World();
    await world.skills.registerSkill(GREETER);
    const old = { protocolVersion: "2025-06-18" } as const;
    const { resources } = await world.send("resources/list", {}, old);
    const [first] = resources as JsonObject[];
    assert.deepEqual(first, {
      uri: "skill://greeter/SKILL.md",
      name: "greeter",
      description: "Does greeter.",
      mimeType: "text/markdown",
      size: new TextEncoder().encode(GREETER["SKILL.md"]).length,
    });
    const uri = "skill://greeter/templates/formal.md";
    const { contents } = await world.send("resources/read", { uri }, old);
    assert.deepEqual(contents, [{ uri, mimeType: "text/markdown", text: "Good day" }]);
    for (const method of ["skills/list", "skills/get", "resources/directory/read"]) {
      await rejectsWith(-32601, /Unknown method/, () => world.send(method, { uri }, old));
    }
  });

  test("[EXT-8] reads the directories of skills", async () => {
    const world = new World();
    await world.skills.registerSkill(GREETER, { prefix: "acme/desk" });
    const root = "skill://acme/desk/greeter";
    assert.deepEqual(await children(world, root), {
      [`${root}/SKILL.md`]: "text/markdown",
      [`${root}/empty`]: "text/plain",
      [`${root}/logo.png`]: "image/png",
      [`${root}/templates`]: "inode/directory",
    });
    assert.deepEqual(await children(world, `${root}/templates`), {
      [`${root}/templates/formal.md`]: "text/markdown",
      [`${root}/templates/more`]: "inode/directory",
    });
    const { resources } = await world.send("resources/directory/read", {
      uri: `${root}/templates/more`,
    });
    assert.deepEqual(resources, [{
      uri: `${root}/templates/more/a%20b.txt`,
      name: "a b.txt",
      mimeType: "text/plain",
      size: 7,
    }]);
    assert.deepEqual(await children(world, "skill://acme"), {
      "skill://acme/desk": "inode/directory",
    });
    const none = [
      `${root}/SKILL.md`,
      `${root}/`,
      `${root}/templates/`,
      "skill:/",
      "skill://",
      "skill:",
      "",
      "skill://other",
      `${root}/../greeter`,
      "__proto__",
    ];
    for (const uri of none) {
      const read = () => world.send("resources/directory/read", { uri });
      const error = await rejectsWith(-32602, /^Directory not found$/, read);
      assert.deepEqual(error.data, { uri });
    }
  });

  test("[EXT-8] pages lists and directories", async () => {
    const world = new World();
    const names = ["c", "a", "b", "e", "d"];
    for (const name of names) await world.skills.registerSkill({ "SKILL.md": manifest(name) });
    const files = Object.fromEntries(names.map((name) => [`x/${name}.txt`, name]));
    await world.skills.registerSkill({ "SKILL.md": manifest("all"), ...files });
    const pages = async (method: string, field: string, params: JsonObject) => {
      const seen: unknown[] = [];
      let cursor: unknown;
      do {
        const more = cursor === undefined ? {} : { cursor };
        const page = await world.send(method, { ...params, ...more }, { pageSize: 2 });
        const entries = page[field] as JsonObject[];
        assert.ok(entries.length <= 2);
        seen.push(...entries.map(({ uri }) => uri));
        cursor = page.nextCursor;
      } while (cursor !== undefined);
      return seen;
    };
    const listed = await pages("skills/list", "skills", {});
    assert.deepEqual(listed, [...names, "all"].map((name) => `skill://${name}/SKILL.md`));
    const read = await pages("resources/directory/read", "resources", { uri: "skill://all/x" });
    assert.deepEqual(read, [...names].sort().map((name) => `skill://all/x/${name}.txt`));
    const { nextCursor: ofSkills } = await world.send("skills/list", {}, { pageSize: 2 });
    for (const cursor of ["", "x", 7, ofSkills]) {
      const uri = "skill://all/x";
      const bad = () => world.send("resources/directory/read", { uri, cursor });
      await rejectsWith(-32602, /cursor/, bad);
      if (cursor === ofSkills) continue;
      await rejectsWith(-32602, /cursor/, () => world.send("skills/list", { cursor }));
    }
  });

  test("[EXT-8] keeps pages within a bound of bytes, and splits no entry", async () => {
    const world = new World();
    const files = Object.fromEntries(
      Array.from({ length: 500 }, (_, n) => [`${"long".repeat(100)}/${n}`, "x"]),
    );
    for (let n = 0; n < 10; n++) {
      await world.skills.registerSkill({ "SKILL.md": manifest(`s${n}`), ...files });
    }
    let cursor: unknown;
    let total = 0;
    do {
      const page = await world.send("skills/list", cursor === undefined ? {} : { cursor });
      assert.ok(JSON.stringify(page).length < 1.1 * 1024 * 1024);
      const skills = page.skills as { resources: unknown[] }[];
      assert.ok(skills.length >= 1);
      for (const { resources } of skills) assert.equal(resources.length, 501);
      total += skills.length;
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    assert.equal(total, 10);
  });

  test("[EXT-8] knows no other skill", async () => {
    const world = new World();
    await world.skills.registerSkill(GREETER);
    const unknown = ["skill://other/SKILL.md", "skill://greeter", "skill://greeter/empty", "", "x"];
    for (const uri of unknown) {
      const get = () => world.send("skills/get", { uri });
      assert.deepEqual((await rejectsWith(-32602, /^Skill not found$/, get)).data, { uri });
    }
    await rejectsWith(-32602, /"uri"/, () => world.send("skills/get", { uri: 7 }));
    await rejectsWith(-32602, /not found/i, () =>
      world.send("resources/read", {
        uri: "skill://greeter/../greeter/SKILL.md",
      }));
  });

  test("[EXT-1, EXT-8] is what makes the server offer skills, to 2026 clients", async () => {
    const world = new World();
    const offered = async (method: string, init?: Parameters<World["send"]>[2]) => {
      const { capabilities } = await world.send(method, {}, init);
      return isObject(capabilities) ? [capabilities.extensions, capabilities.resources] : [];
    };
    assert.deepEqual(await offered("server/discover"), [undefined, undefined]);
    await world.skills.registerSkill(GREETER);
    const [extensions, resources] = await offered("server/discover");
    assert.deepEqual(extensions, { "io.modelcontextprotocol/skills": { directoryRead: true } });
    assert.ok(resources);
    const [none] = await offered("initialize", { protocolVersion: "2025-11-25" });
    assert.equal(none, undefined);
  });

  test("says how long everything may be kept", async () => {
    const cache = { ttlMs: 5_000, cacheScope: "public" } as const;
    const world = new World({ cache });
    const { uri } = await world.skills.registerSkill(GREETER);
    for (const method of ["skills/list", "skills/get", "resources/read"]) {
      const { ttlMs, cacheScope } = await world.send(method, { uri });
      assert.deepEqual({ ttlMs, cacheScope }, cache, method);
    }
    assert.throws(() => skills({ cache: { ttlMs: -1 } }), RangeError);
  });

  test("[EXT-9] refuses what is no skill, and changes nothing then", async () => {
    const world = new World();
    const good = manifest("a");
    const refused: Record<string, Record<string, string | Uint8Array>> = {
      "no SKILL.md": { "skill.md": good },
      "a SKILL.md elsewhere": { "a/SKILL.md": good },
      "one that is no text": { "SKILL.md": PNG },
      "one without frontmatter": { "SKILL.md": "# A" },
      "a number": { "SKILL.md": good, "b": 7 as unknown as string },
    };
    for (const [what, files] of Object.entries(refused)) {
      await assert.rejects(world.skills.registerSkill(files), TypeError, what);
    }
    for (const prefix of ["", "/a", "a/", "a//b", "..", "a/../b", "a b", "a%2fb", "{a}", "-"]) {
      await assert.rejects(world.skills.registerSkill({ "SKILL.md": good }, { prefix }), TypeError);
    }
    assert.deepEqual(await world.listed(), []);
  });

  const outside = ["", "/", "/etc/passwd", "a/", "a//b", ".", "..", "../a", "a/../../b", "a/./b"];
  for (const path of [...outside, "a\\b", "a\u0000", "a\nb", "\ud800", "x".repeat(513)]) {
    test(`[EXT-10] refuses the path ${JSON.stringify(path).slice(0, 30)}`, async () => {
      const files = { "SKILL.md": manifest("a"), [path]: "x" };
      await assert.rejects(new World().skills.registerSkill(files), {
        name: "TypeError",
        message: /^Give paths inside the skill/,
      });
    });
  }

  test("[EXT-10] escapes in URIs what has a meaning there", async () => {
    const world = new World();
    const path = "a?b#c/{d}/%2e%2e/ü";
    await world.skills.registerSkill({ "SKILL.md": manifest("a"), [path]: "x" });
    const uri = `skill://a/${path.split("/").map(encodeURIComponent).join("/")}`;
    assert.equal((await world.read(uri)).text, "x");
    assert.deepEqual(await children(world, uri.slice(0, uri.lastIndexOf("/"))), {
      [uri]: "text/plain",
    });
  });
});

describe("the bounds of skills", () => {
  const limits = { fileBytes: 100, bytes: 400, skills: 3 };

  test("[EXT-10] hold for a file, for all skills and for their number", async () => {
    const world = new World({ limits });
    const skill = (name: string, size: number) => ({
      "SKILL.md": manifest(name, "", ""),
      "x": "x".repeat(size),
    });
    const base = manifest("a", "", "").length;
    await world.skills.registerSkill(skill("a", 100));
    await assert.rejects(world.skills.registerSkill(skill("b", 101)), /"limits\.fileBytes"/);
    const b = await world.skills.registerSkill(skill("b", 100));
    const left = 400 - 2 * (base + 100) - base;
    await assert.rejects(world.skills.registerSkill(skill("c", left + 1)), /"limits\.bytes", 400/);
    await world.skills.registerSkill(skill("c", left));
    await assert.rejects(world.skills.registerSkill(skill("d", 0)), /"limits\.skills"/);
    await assert.rejects(b.update(skill("b", 101)), RangeError);
    b.remove();
    await world.skills.registerSkill(skill("d", 100));
    assert.equal((await world.listed()).length, 3);
  });

  test("[EXT-10] are 512 files and 16 MiB for one skill", async () => {
    const world = new World({ limits: { fileBytes: 8 * 1024 * 1024 } });
    const files = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, n) => [`${n}`, ""]));
    const skill = { "SKILL.md": manifest("a") };
    await assert.rejects(world.skills.registerSkill({ ...skill, ...files(512) }), /512 files/);
    (await world.skills.registerSkill({ ...skill, ...files(511) })).remove();
    const half = new Uint8Array(8 * 1024 * 1024);
    await assert.rejects(
      world.skills.registerSkill({ ...skill, a: half, b: half }),
      /within 16777216 bytes/,
    );
  });

  const wrong: Record<string, SkillsOptions> = {
    "limits.skills": { limits: { skills: 0 } },
    "limits.bytes": { limits: { bytes: -1 } },
    "limits.fileBytes": { limits: { fileBytes: 0.5 } },
  };
  for (const [name, options] of Object.entries(wrong)) {
    test(`${name} is checked`, () => {
      assert.throws(() => skills(options), {
        name: "RangeError",
        message: new RegExp(`"${name}"`),
      });
    });
  }
});

describe("a skill's handle", () => {
  test("updates all of the skill, and tells clients what changed", async () => {
    const world = new World();
    const host = new FakeHost();
    world.server.attach(host);
    const files = { "SKILL.md": manifest("a"), "same": "same", "gone": "gone", "new/x": "old" };
    const handle = await world.skills.registerSkill(files);
    await flush();
    host.broadcasts.length = 0;
    const next = {
      "SKILL.md": manifest("a", "more: 1\n"),
      "same": "same",
      "new/x": "new",
      "y": "",
    };
    await handle.update(next);
    await flush();
    assert.deepEqual(host.updated, ["skill://a/SKILL.md", "skill://a/new/x"]);
    assert.deepEqual(host.broadcasts, ["notifications/resources/list_changed"]);
    assert.equal((await world.read("skill://a/new/x")).text, "new");
    const { skill } = await world.send("skills/get", { uri: handle.uri });
    const { frontmatter, resources } = skill as {
      frontmatter: JsonObject;
      resources: JsonObject[];
    };
    assert.equal(frontmatter.more, 1);
    const uris = ["SKILL.md", "new/x", "same", "y"].map((path) => `skill://a/${path}`);
    assert.deepEqual(resources.map(({ uri }) => uri), uris);
    assert.deepEqual((await world.resources()).sort(), [...uris].sort());
    assert.equal(resources[1]?.digest, digest("new"));
  });

  test("keeps the old skill when the new one is none, or another", async () => {
    const world = new World();
    const handle = await world.skills.registerSkill({ "SKILL.md": manifest("a"), "x": "old" });
    await assert.rejects(handle.update({ "SKILL.md": "none" }), TypeError);
    await assert.rejects(handle.update({ "SKILL.md": manifest("b") }), /Keep the name/);
    assert.equal((await world.read("skill://a/x")).text, "old");
    assert.deepEqual(await world.listed(), ["skill://a/SKILL.md"]);
  });

  test("takes the skill away, once", async () => {
    const world = new World();
    const handle = await world.skills.registerSkill(GREETER);
    await world.skills.registerSkill({ "SKILL.md": manifest("b") });
    handle.remove();
    handle.remove();
    await handle.update();
    assert.deepEqual(await world.listed(), ["skill://b/SKILL.md"]);
    assert.deepEqual(await world.resources(), ["skill://b/SKILL.md"]);
    const read = () => world.send("resources/directory/read", { uri: "skill://greeter" });
    await rejectsWith(-32602, /Directory not found/, read);
    await world.skills.registerSkill(GREETER);
    assert.equal((await world.listed()).length, 2);
  });
});

describe("skills beside each other", () => {
  test("are registered once, also by two at a time", async () => {
    const world = new World();
    const both = [GREETER, GREETER].map((files) => world.skills.registerSkill(files));
    const outcomes = await Promise.allSettled(both);
    assert.deepEqual(outcomes.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
    await assert.rejects(world.skills.registerSkill(GREETER), /Register each skill once/);
    await world.skills.registerSkill(GREETER, { prefix: "other" });
    assert.equal((await world.listed()).length, 2);
  });

  test("leave the application's own resources alone", async () => {
    const world = new World();
    world.server.registerResource("mine", "skill://greeter/logo.png", {}, () => "mine");
    await assert.rejects(world.skills.registerSkill(GREETER), /Register each resource once/);
    assert.deepEqual(await world.resources(), ["skill://greeter/logo.png"]);
    assert.deepEqual(await world.listed(), []);
    assert.equal((await world.read("skill://greeter/logo.png")).text, "mine");
  });

  test("[EXT-8] may lie in each other, and share what is the same", async () => {
    const world = new World();
    const inner = { "SKILL.md": manifest("inner"), "x": "x" };
    const nested = { "inner/SKILL.md": inner["SKILL.md"], "inner/x": "x" };
    const outer = await world.skills.registerSkill({ "SKILL.md": manifest("outer"), ...nested });
    const own = await world.skills.registerSkill(inner, { prefix: "outer" });
    assert.equal(own.uri, "skill://outer/inner/SKILL.md");
    assert.equal((await world.resources()).length, 3);
    await assert.rejects(own.update({ ...inner, "x": "y" }), /Remove the other skill/);
    assert.equal((await world.read("skill://outer/inner/x")).text, "x");
    outer.remove();
    assert.equal((await world.resources()).length, 2);
    await own.update({ ...inner, "x": "y" });
    assert.equal((await world.read("skill://outer/inner/x")).text, "y");
    own.remove();
    assert.deepEqual(await world.resources(), []);
  });
});

describe("skills()", () => {
  test("want a server of their own, and first", async () => {
    const library = skills();
    await assert.rejects(library.registerSkill(GREETER), /Call server\.use\(\)/);
    const server = new McpServer({ name: "a", version: "1.0.0" });
    server.use(library);
    assert.throws(() => server.use(skills()), /Use each extension once/);
    const other = new McpServer({ name: "b", version: "1.0.0" });
    assert.throws(() => other.use(library), /Create a new skills\(\) extension for each server/);
  });
});
