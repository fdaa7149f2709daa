/**
 * `mooring dev` as a process, with a server that is edited.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Program, runtime } from "./program.ts";

/** The project's folder. */
export const ROOT = new URL("../../", import.meta.url);
/** How a program imports a file of the project. */
export const at = (path: string) => JSON.stringify(new URL(path, ROOT).href);

/** A server whose tools say which edit they are of. */
export function serverText(edit: string, serve = "await serve(server);"): string {
  return `import { McpServer } from ${at("mod.ts")};
import { serve } from ${at("src/adapters/node.ts")};
import { serveStdio } from ${at("src/adapters/stdio.ts")};

const server = new McpServer({ name: "edited", version: "1.0.0" });
server.registerTool("edit", {}, () => ${JSON.stringify(edit)});
server.registerTool("slow", {}, async (_args, ctx) => {
  ctx.progress(1);
  const { content } = await ctx.elicit("go", { message: "Go on?", schema: { type: "object", properties: { ok: { type: "boolean" } } } });
  return ${JSON.stringify(edit)} + JSON.stringify(content);
});
server.registerTool("crash", {}, () => setTimeout(() => { throw new Error("Crashed"); }) && "soon");
void serve, serveStdio;
${serve}
`;
}

/** What is developed. */
export interface Developing {
  readonly program: Program;
  readonly url: string;
  readonly file: string;
  readonly write: (text: string) => Promise<void>;
  /** The page's URL, signed in, without a path. */
  readonly page: string;
}

/** Runs `mooring dev` for as long as `use` takes. */
export async function developing(
  text: string,
  use: (place: Developing) => Promise<void>,
  { name = "server.ts", args = [] }: { name?: string; args?: readonly string[] } = {},
): Promise<void> {
  // Below the project, whose packages the runtimes find
  const cache = fileURLToPath(new URL(".cache/", ROOT));
  await mkdir(cache, { recursive: true });
  const folder = await mkdtemp(join(cache, "dev-"));
  const file = join(folder, name);
  await writeFile(file, text);
  const own = name.endsWith(".json") ? [] : ["--runtime", runtime];
  const port = args.includes("--port") ? [] : ["--port", "0"];
  const program = new Program(["dev", file, ...own, "--page-port", "0", ...port, ...args]);
  try {
    const [, url = ""] = await program.until(/Serving .* at (http\S+)/);
    const [, page = ""] = await program.until(/Every message: (\S+) /);
    await use({ program, url, file, page, write: (text) => writeFile(file, text) });
    program.signal("SIGTERM");
    assert.equal(await program.ended, 0, program.err);
  } finally {
    program.signal("SIGKILL");
    await program.ended;
    await rm(folder, { recursive: true });
  }
}
