/**
 * Walks the ways into the documentation as their readers do: takes the section "From an empty folder" of a
 * page, writes its files, runs its commands with the packed tarball, and compares what they print. As a
 * program it prints how many words each section has and how long the machine takes; `--package TARBALL`
 * saves making the package.
 *
 * @module
 */
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { freePort } from "../src/adapters/process_group.ts";
import { followLogin } from "../tests/package/follow_login.ts";
import { WALKS } from "../tests/package/walks.ts";
import { pack } from "./pack.ts";
import { type Service, start } from "./process.ts";
import { commandOf, install, installPackageTools, ROOT } from "./runtimes.ts";

const LIMIT_MS = 180_000;
const SECTION = "From an empty folder";
/** The ports that the pages name. */
const PORTS = ["8000", "8001", "9000", "9090"];

/** What a way costs. */
export interface WalkCost {
  /** The words of the section, code and all: what a reader reads and types. */
  readonly words: number;
  /** What its commands take, in milliseconds. */
  readonly ms: number;
}

/** A block of code, with the paragraph before it. */
interface Block {
  readonly language: string;
  readonly text: string;
  readonly before: string;
}

/**
 * Walks a page, from an empty folder to its first result.
 *
 * @throws {Error} If a command fails or prints something else, with what it printed
 */
export async function walkPage(page: string, tarball: string): Promise<WalkCost> {
  const text = await readFile(join(ROOT, "docs", `${page}.md`), "utf8");
  const section = sectionOf(text);
  const began = performance.now();
  await using place = await walkPlace(tarball);
  let output: (() => Promise<string>) | undefined;
  const blocks = blocksOf(section);
  for (const [at, block] of blocks.entries()) {
    const { language, before } = block;
    if (language === "text") {
      await place.expect(block.text, output ?? fail(`${page}.md: Nothing was run before a text`));
      continue;
    }
    if (language !== "sh") {
      const [name] = [...before.matchAll(/`([\w.-]+\.(?:ts|json))`/g)].map(([, name]) => name)
        .slice(-1);
      await place.write(
        name ?? fail(`${page}.md: Name the file before:\n${block.text}`),
        block.text,
      );
      continue;
    }
    if (/^stop /i.test(before)) await place.stop();
    const next = blocks.slice(at + 1).find((each) => each.language === "sh");
    const isKept = /(?:second|third) terminal/.test(next?.before ?? "");
    output = isKept ? await place.keep(block.text) : await place.run(block.text);
  }
  return { words: section.split(/\s+/).filter(Boolean).length, ms: performance.now() - began };
}

function fail(message: string): never {
  throw new Error(message);
}

function sectionOf(page: string): string {
  const [, section] = page.split(`## ${SECTION}\n`);
  return section?.split("\n## ")[0] ?? fail(`Add a section "${SECTION}"`);
}

function blocksOf(section: string): readonly Block[] {
  const parts = section.split(/^```/m);
  return parts.flatMap((part, at) => {
    if (at % 2 === 0) return [];
    const [first = "", ...lines] = part.split("\n");
    const before = (parts[at - 1] ?? "").trim().split("\n\n").at(-1)?.replaceAll("\n", " ") ?? "";
    return [{ language: first.split(" ")[0] ?? "", text: lines.join("\n"), before }];
  });
}

/** The folder of a walk, with the programs that run in it. */
async function walkPlace(tarball: string) {
  const home = await mkdtemp(join(tmpdir(), "walk-"));
  const [folder, bin] = [join(home, "project"), join(home, "bin")];
  await Promise.all([mkdir(folder), mkdir(bin)]);
  for (const runtime of ["node", "bun"] as const) {
    await symlink(commandOf(runtime).program, join(bin, runtime));
  }
  const env = {
    PATH: `${bin}${delimiter}${process.env["PATH"] ?? ""}`,
    HOME: home,
    npm_config_cache: process.env["npm_config_cache"] ??
      join(process.env["HOME"] ?? home, ".npm"),
  };
  const ports = new Map<string, string>();
  for (const port of PORTS) ports.set(port, String(await freePort("127.0.0.1", 0)));
  /** Puts the tarball and free ports into a text. */
  const own = (text: string): string =>
    text.replace(/\b(?:8000|8001|9000|9090)\b/g, (port) => ports.get(port) ?? port)
      .replaceAll("TARBALL", tarball);
  const running: { readonly service: Service; output: string }[] = [];

  function launch(script: string) {
    const program = { output: "" };
    let heard = () => {};
    const service = start("bash", ["-e", "-c", own(script)], {
      cwd: folder,
      env,
      limitMs: LIMIT_MS,
      onLine(line) {
        program.output += `${line}\n`;
        heard();
      },
    });
    return { service, program, onLine: (listener: () => void) => void (heard = listener) };
  }

  async function stop(): Promise<void> {
    for (const { service } of running.splice(0).reverse()) await service.stop();
  }

  return {
    write: (name: string, text: string) =>
      writeFile(join(folder, name), own(text), { mode: 0o600 }),

    /** Runs commands to their end. */
    async run(script: string) {
      const { service, program, onLine } = launch(script);
      let login: Promise<void> | undefined;
      let failure: Error | undefined;
      onLine(() => {
        // Without a terminal no browser is opened: the link is shown alone
        const [link] = /https?:\S+\/authorize\?\S+(?=\s)/.exec(program.output) ?? [];
        if (link === undefined || login !== undefined) return;
        login = followLogin(new URL(link)).catch(async (error) => {
          failure = error;
          await service.stop();
        });
      });
      const { code, output } = await service.ended;
      if (code !== 0 || failure !== undefined) {
        const others = running.map((program) => program.output).join("\n");
        const message = `${script}ended with ${code}:\n${output}\n${others}`;
        throw new Error(message, { cause: failure });
      }
      return () => Promise.resolve(output);
    },

    /** Runs commands whose last one listens. */
    async keep(script: string) {
      const { service, program, onLine } = launch(script);
      running.push(Object.assign(program, { service }));
      const listening = Promise.withResolvers<void>();
      onLine(() => {
        if (/\b(?:listening|serving)\b/i.test(program.output)) listening.resolve();
      });
      void service.ended.then(({ output }) =>
        listening.reject(new Error(`${script}ended:\n${output}`))
      );
      await listening.promise;
      return () => Promise.resolve(program.output);
    },

    stop,

    /** Waits until each line of a text is in an output; `…` stands for anything. */
    async expect(text: string, output: () => Promise<string>) {
      for (const line of own(text).split("\n").map((line) => line.trim()).filter(Boolean)) {
        const parts = line.split("…").map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&"));
        const pattern = new RegExp(parts.join(".*").replaceAll(/ +/g, "\\s+"));
        const said = await output();
        if (!pattern.test(said)) throw new Error(`Expected "${line}" in:\n${said}`);
      }
    },

    async [Symbol.asyncDispose]() {
      await stop();
      await rm(home, { recursive: true, force: true });
    },
  };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { package: { type: "string" }, only: { type: "string", default: "" } },
  });
  await install();
  await installPackageTools();
  const tarball = values.package === undefined
    ? await pack((line) => console.error(line))
    : resolve(values.package);
  for (const page of WALKS.filter((page) => page.includes(values.only))) {
    const { words, ms } = await walkPage(page, tarball);
    console.log(
      `${page.padEnd(16)} ${String(words).padStart(5)} words ${
        (ms / 1_000).toFixed(1).padStart(6)
      } s`,
    );
  }
}

if (import.meta.main) await main();
