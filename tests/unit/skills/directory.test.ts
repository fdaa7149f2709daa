import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { readDirectory } from "../../../src/skills/directory.ts";
import { manifest, World } from "./support.ts";

const windows = process.platform === "win32";

/** Runs a test on a folder that has some files in a folder "skill", and others beside it. */
async function inFolder(
  files: Readonly<Record<string, string | Uint8Array>>,
  run: (skill: string, folder: string) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "skills-"));
  try {
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), content);
    }
    await run(join(folder, "skill"), folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

const SKILL = {
  "skill/SKILL.md": manifest("skill"),
  "skill/a/b/c.txt": "deep",
  "secret": "secret",
};

async function paths(skill: string): Promise<string[]> {
  const { files } = await readDirectory(skill, 1_000);
  return files.sorted.map(([path]) => path);
}

describe("registerSkill() of a directory", () => {
  test("[EXT-8] serves its files, and reads them again when told", async () => {
    await inFolder(SKILL, async (skill) => {
      const world = new World();
      for (const source of [skill, pathToFileURL(skill), `${skill}/`]) {
        const handle = await world.skills.registerSkill(source);
        assert.equal((await world.read("skill://skill/a/b/c.txt")).text, "deep");
        await writeFile(join(skill, "a/b/c.txt"), "deeper");
        assert.equal((await world.read("skill://skill/a/b/c.txt")).text, "deep");
        await handle.update();
        assert.equal((await world.read("skill://skill/a/b/c.txt")).text, "deeper");
        await writeFile(join(skill, "a/b/c.txt"), "deep");
        handle.remove();
      }
    });
  });

  test("[EXT-9] wants the directory to have the skill's name", async () => {
    await inFolder(SKILL, async (skill, folder) => {
      const other = join(folder, "other");
      await rename(skill, other);
      await assert.rejects(new World().skills.registerSkill(other), {
        name: "TypeError",
        message: 'Give the directory the name of its skill, "skill": other',
      });
    });
  });

  test("wants a directory that is there", async () => {
    await inFolder(SKILL, async (skill) => {
      const world = new World();
      await assert.rejects(world.skills.registerSkill(`${skill}-not`), { code: "ENOENT" });
      await assert.rejects(world.skills.registerSkill(join(skill, "SKILL.md")));
      assert.deepEqual(await world.listed(), []);
    });
  });
});

describe("readDirectory()", () => {
  test("[EXT-10] leaves out what begins with a dot", async () => {
    const hidden = { "skill/.env": "KEY=1", "skill/.git/config": "x", "skill/a/.x": "x" };
    await inFolder({ ...SKILL, ...hidden }, async (skill) => {
      assert.deepEqual(await paths(skill), ["SKILL.md", "a/b/c.txt"]);
    });
  });

  test("reads bytes as they are, of empty files too", async () => {
    const bytes = Uint8Array.from({ length: 256 }, (_, n) => n);
    await inFolder({ "skill/bytes": bytes, "skill/empty": "" }, async (skill) => {
      const { name, files } = await readDirectory(skill, 256);
      assert.equal(name, "skill");
      assert.deepEqual(files.sorted.map(([path, { length }]) => [path, length]), [
        ["bytes", 256],
        ["empty", 0],
      ]);
      assert.deepEqual([...(files.sorted[0]?.[1] ?? [])], [...bytes]);
    });
  });

  const links: Record<string, [string, string]> = {
    "a file outside": ["../secret", "skill/link"],
    "a file inside": ["SKILL.md", "skill/link"],
    "a directory outside": ["..", "skill/link"],
    "a directory inside": ["a", "skill/link"],
    "itself": [".", "skill/a/link"],
    "nothing": ["nowhere", "skill/link"],
  };
  for (const [what, [target, path]] of Object.entries(links)) {
    test(`[EXT-10] follows no link to ${what}`, { skip: windows }, async () => {
      await inFolder(SKILL, async (skill, folder) => {
        await symlink(target, join(folder, path));
        await assert.rejects(readDirectory(skill, 1_000), {
          name: "TypeError",
          message: /^Keep only files and directories in a skill: ".*link"$/,
        });
      });
    });
  }

  test("[EXT-10] takes a link for the directory itself, under its own name", {
    skip: windows,
  }, async () => {
    await inFolder(SKILL, async (skill, folder) => {
      await rename(skill, join(folder, "v1"));
      await symlink("v1", skill);
      assert.equal((await readDirectory(skill, 1_000)).name, "skill");
      assert.deepEqual(await paths(skill), ["SKILL.md", "a/b/c.txt"]);
    });
  });

  test("[EXT-10] doesn't wait for what is no file", { skip: windows }, async () => {
    await inFolder(SKILL, async (skill) => {
      execFileSync("mkfifo", [join(skill, "pipe")]);
      await assert.rejects(readDirectory(skill, 1_000), /Keep only files/);
    });
  });

  test("[EXT-10] reads no file that is too large, and no more than there may be", async () => {
    await inFolder({ ...SKILL, "skill/large": "x".repeat(1_001) }, async (skill) => {
      await assert.rejects(readDirectory(skill, 1_000), /"large" has 1001 bytes/);
    });
    const many = Object.fromEntries(Array.from({ length: 513 }, (_, n) => [`skill/${n}`, ""]));
    await inFolder(many, async (skill) => {
      await assert.rejects(readDirectory(skill, 1_000), /at most 512 files/);
    });
    const deep = Object.fromEntries(Array.from({ length: 513 }, (_, n) => [`skill/${n}/.x`, ""]));
    await inFolder(deep, async (skill) => {
      await assert.rejects(readDirectory(skill, 1_000), /at most 512 directories/);
    });
  });
});
