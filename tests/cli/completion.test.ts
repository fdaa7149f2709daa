/**
 * `mooring completion`, in the shells themselves. A shell that isn't here is skipped, and says so.
 *
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, test } from "node:test";
import { runHere } from "./fake_io.ts";

const folder = mkdtempSync(join(tmpdir(), "completion-"));
after(() => rmSync(folder, { recursive: true, force: true }));
mkdirSync(join(folder, "nested dir"));
writeFileSync(join(folder, "mooring.json"), "{}");
writeFileSync(join(folder, "notes.txt"), "");

async function scriptOf(shell: string): Promise<string> {
  const { code, out, err } = await runHere(["completion", shell]);
  assert.deepEqual([code, err], [0, ""]);
  return out;
}

/** Runs a script in a shell, and returns the lines that it wrote. */
function shell(name: string, args: readonly string[], script: string): string[] {
  const { status, stdout, stderr } = spawnSync(name, [...args, script], {
    cwd: folder,
    encoding: "utf8",
    env: { PATH: process.env["PATH"] ?? "", HOME: folder, TERM: "dumb" },
  });
  assert.equal(stderr, "", `${name}: ${stderr}`);
  assert.equal(status, 0, stdout);
  return stdout.split("\n").filter((line) => line !== "");
}

/** What a shell offers for a line, at its end. */
type Complete = (line: readonly string[]) => Promise<readonly string[]>;

const SHELLS: Readonly<Record<string, Complete>> = {
  async bash(line) {
    const words = ["mooring", ...line].map((word) => `'${word}'`).join(" ");
    return shell(
      "bash",
      ["--norc", "-c"],
      `${await scriptOf("bash")}
compopt() { :; }
COMP_WORDS=(${words}); COMP_CWORD=${line.length}
_mooring
printf '%s\\n' "\${COMPREPLY[@]}"`,
    );
  },
  async fish(line) {
    const text = ["mooring", ...line].join(" ");
    return shell(
      "fish",
      ["--no-config", "-c"],
      `${await scriptOf("fish")}
complete --do-complete '${text}'`,
    ).map((line) => line.split("\t")[0] ?? "");
  },
  // Its completion runs in a terminal only: what _arguments and _describe are given is looked at instead
  async zsh(line) {
    const words = ["mooring", ...line].map((word) => `'${word}'`).join(" ");
    return shell(
      "zsh",
      ["-f", "-c"],
      `compdef() { :; }
${await scriptOf("zsh")}
_describe() { print -l -- \${\${(P)2}%%:*}; }
_files() { print -l -- *(N); }
_arguments() {
  local spec before=$words[CURRENT-1]
  for spec in "$@"; do
    local flag=\${\${spec#\\*}%%\\[*} action=\${spec##*:}
    if [[ $before == $flag && $spec == *:value:* ]]; then
      [[ $action == _files* ]] && _files || print -l -- \${=action//[()]/}
      return
    fi
  done
  for spec in "$@"; do
    if [[ $spec == 1:* && $words[CURRENT] != -* ]]; then
      local action=\${spec##*:}
      [[ $action == _files* ]] && _files || print -l -- \${=action//[()]/}
    elif [[ $spec == \\** && $words[CURRENT] == -* ]]; then print -- \${\${spec#\\*}%%\\[*}; fi
  done
}
words=(${words}); CURRENT=${line.length + 1}
_mooring`,
    );
  },
};

describe("mooring completion", () => {
  for (const [name, complete] of Object.entries(SHELLS)) {
    const { error } = spawnSync(name, ["--version"]);
    const skip = error === undefined ? false : `There is no ${name} here`;
    const title = `[CMD-19] ${name} completes commands, options, their values and files`;
    test(title, { skip }, async () => {
      const commands = await complete([""]);
      for (const command of ["serve", "check", "call", "completion"]) {
        assert.ok(commands.includes(command), commands.join(" "));
      }
      const flags = await complete(["serve", "--"]);
      for (const flag of ["--config", "--log-level", "--no-auth", "--help"]) {
        assert.ok(flags.includes(flag), flags.join(" "));
      }
      assert.ok(!flags.includes("--only"), "an option of another command");
      const levels = await complete(["serve", "--log-level", ""]);
      assert.deepEqual([...levels].sort(), ["debug", "error", "info", "warn"]);
      const files = (await complete(["check", ""])).map((it) => it.replace(/\/$/, ""));
      for (const file of ["mooring.json", "notes.txt"]) {
        assert.ok(files.includes(file), files.join(" "));
      }
      assert.deepEqual([...await complete(["completion", ""])].sort(), [
        "bash",
        "fish",
        "zsh",
      ]);
      assert.deepEqual(await complete(["serve", "--port", ""]), []);
    });
  }

  test("[CMD-19] a shell without a script is refused with those that have one", async () => {
    const { code, out, err } = await runHere(["completion", "bsh"]);
    assert.deepEqual([code, out], [2, ""]);
    assert.equal(err, 'Give one of the shells bash, zsh, fish: "bsh". Did you mean bash?\n');
    assert.equal((await runHere(["completion"])).code, 2);
  });
});
