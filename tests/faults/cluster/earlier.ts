/**
 * The program of an earlier version, out of git's history.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
/** What decides on the form of messages and records. */
const SHARED = ["src/cluster", "src/redis", "src/sessions", "src/streams"];
/** Where the form of what nodes share is stated. Nodes of different forms don't meet. */
const FORMS: readonly (readonly [path: string, form: RegExp])[] = [
  ["src/redis/keys.ts", /\bFORM = (\d+);/],
  ["src/cluster/messages/sealed_envelope.ts", /\bLABEL = "([^"]+)";/],
];
/** How far back to look. */
const MOST_COMMITS = 100;

function git(...args: string[]): string {
  return execFileSync("git", args, { cwd: ROOT, encoding: "utf8", stdio: "pipe" }).trim();
}

/** The form of what nodes share, where `read` finds its sources. */
function formOf(read: (path: string) => string): string {
  return FORMS.map(([path, form]) => {
    try {
      return form.exec(read(path))?.[1] ?? "none";
    } catch {
      return "none";
    }
  }).join(", ");
}

/** What a node of the earlier version runs nothing of. */
const PRODUCT = ["src/cli", "src/dashboard", "src/gateway", "src/signin"];

/** Whether the packages that a commit's library imports are installed here: it runs with these. */
function canRun(commit: string): boolean {
  const others = PRODUCT.map((path) => `:!${path}`);
  const statement = '^(import|export|[}]).* from "[^./"][^"]*";$';
  const lines = git("grep", "-hE", statement, commit, "--", "src/*.ts", ...others);
  const packages = lines.split("\n").map((line) => line.replace(/^.* from "|";$/g, ""))
    .filter((specifier) => !/^(node|bun|cloudflare):|^bun$|^@mooring\//.test(specifier))
    .map((specifier) => specifier.split("/").slice(0, specifier.startsWith("@") ? 2 : 1).join("/"));
  return packages.every((name) => existsSync(join(ROOT, "node_modules", name)));
}

/**
 * The newest commit whose code for what nodes share is not this code, but of the same form, and which runs
 * with the packages of this one; if this clone has one.
 */
export function earlierCommit(): string | undefined {
  try {
    const form = formOf((path) => readFileSync(join(ROOT, path), "utf8"));
    const commits = git("log", "--format=%H", "-n", String(MOST_COMMITS), "--", ...SHARED);
    return commits.split("\n").find((commit) => {
      if (formOf((path) => git("show", `${commit}:${path}`)) !== form) return false;
      if (!canRun(commit)) return false;
      try {
        git("diff", "--quiet", commit, "--", ...SHARED);
        return false;
      } catch {
        return true;
      }
    });
  } catch {
    return undefined;
  }
}

/** A copy of an earlier version. */
export interface Earlier {
  /** The path of its node's program. */
  readonly program: string;
  remove(): Promise<void>;
}

/** Lays out a commit, with the packages of this one. */
export async function layOut(commit: string): Promise<Earlier> {
  const folder = await mkdtemp(join(tmpdir(), "earlier-"));
  const archive = join(folder, "archive.tar");
  git("archive", "--output", archive, commit);
  execFileSync("tar", ["-xf", archive, "-C", folder]);
  await symlink(join(ROOT, "node_modules"), join(folder, "node_modules"));
  return {
    program: join(folder, "tests/faults/cluster/node.ts"),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
