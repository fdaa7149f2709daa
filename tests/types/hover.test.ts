/**
 * What an editor shows: asked of TypeScript's language service, as editors ask it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const FILE = join(ROOT, "tests/types/hovered.ts");

/** A program of a user. `/*name*\/` stands before what is hovered over. */
const PROGRAM = `
import { createMcpHandler, McpServer } from "../../mod.ts";
import { serve } from "../../src/adapters/node.ts";
import { z } from "zod";

const server = new McpServer({ name: "demo", version: "1.0.0" });
const inputSchema = z.object({ a: z.number(), b: z.number() });
const outputSchema = z.object({ sum: z.number() });
const /*tool*/add = server./*registerTool*/registerTool("add", {
  inputSchema,
  outputSchema,
  /*scopes*/scopes: ["math"],
}, ({ /*argument*/a, b }) => ({ structuredContent: { sum: a + b } }));
server./*registerResource*/registerResource("note", "note://{id}", {}, (_uri, { id }) => id);
server./*registerPrompt*/registerPrompt("ask", {
  argsSchema: z.object({ word: z.string() }),
}, ({ word }) => word);
const handler = /*createMcpHandler*/createMcpHandler(server);
await /*serve*/serve(server);
void [add, handler];
`;

interface Hover {
  /** The signature or the type. */
  readonly shown: string;
  /** The description. */
  readonly said: string;
  /** The tags of the description, such as `@default`. */
  readonly tags: readonly string[];
}

describe("what an editor shows", () => {
  let service: ts.LanguageService;
  const hover = (mark: string): Hover => {
    const at = PROGRAM.indexOf(`/*${mark}*/`) + mark.length + 4;
    const info = service.getQuickInfoAtPosition(FILE, at);
    assert.ok(info, mark);
    return {
      shown: ts.displayPartsToString(info.displayParts),
      said: ts.displayPartsToString(info.documentation),
      tags: (info.tags ?? []).map(({ name, text }) => `${name} ${ts.displayPartsToString(text)}`),
    };
  };
  const copiesOf = (what: string, text: string) => text.split(what).length - 1;

  before(() => {
    const options: ts.CompilerOptions = {
      strict: true,
      target: ts.ScriptTarget.ESNext,
      lib: ["lib.esnext.d.ts", "lib.dom.d.ts", "lib.dom.iterable.d.ts"],
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      allowImportingTsExtensions: true,
      noEmit: true,
      noErrorTruncation: true,
      skipLibCheck: true,
      types: ["node"],
    };
    const { sys } = ts;
    const textOf = (file: string) => file === FILE ? PROGRAM : sys.readFile(file);
    service = ts.createLanguageService({
      getCompilationSettings: () => options,
      getScriptFileNames: () => [FILE],
      getScriptVersion: () => "1",
      getScriptSnapshot(file) {
        const text = textOf(file);
        return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text);
      },
      getCurrentDirectory: () => ROOT,
      getDefaultLibFileName: () => {
        return join(dirname(fileURLToPath(import.meta.resolve("typescript"))), "lib.esnext.d.ts");
      },
      fileExists: (file) => textOf(file) !== undefined,
      readFile: textOf,
      readDirectory: sys.readDirectory,
      directoryExists: sys.directoryExists,
      getDirectories: sys.getDirectories,
    });
  });

  test("[AUT-9] the hovered program has no errors", () => {
    const messages = service.getSemanticDiagnostics(FILE)
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
    assert.deepEqual(messages, []);
  });

  test("[AUT-9] registerTool shows each schema's type once, and what the handler gets and returns", () => {
    const { shown, said } = hover("registerTool");
    assert.match(shown, /registerTool</);
    for (const field of ["a: z.ZodNumber", "sum: z.ZodNumber"]) {
      assert.ok(copiesOf(field, shown) <= 2, shown);
    }
    assert.match(shown, /args: \{\s*a: number;\s*b: number;\s*\}/);
    assert.match(shown, /StructuredResult<\{\s*sum: number;\s*\}>/);
    assert.match(said, /^Registers a tool/);
    assert.match(hover("argument").shown, /a: number$/);
  });

  test("[AUT-9] the handle of a tool shows types, not schemas", () => {
    const { shown } = hover("tool");
    assert.equal(copiesOf("Zod", shown), 0, shown);
    assert.match(shown, /"add"/);
  });

  test("[AUT-9] resources, prompts, createMcpHandler and serve show their signature and say what they do", () => {
    assert.match(hover("registerResource").shown, /id: string/);
    assert.ok(copiesOf("word: z.ZodString", hover("registerPrompt").shown) <= 2);
    for (
      const [mark, type, verb] of [
        ["createMcpHandler", "McpHandlerOptions", "Creates"],
        ["serve", "RunningServer", "Serves"],
      ] as const
    ) {
      const { shown, said } = hover(mark);
      assert.match(shown, new RegExp(type));
      assert.ok(shown.length < 200, shown);
      assert.ok(said.startsWith(verb), said);
    }
  });

  test("[AUT-9] descriptions have no defaults that say nothing", () => {
    const { said, tags } = hover("scopes");
    assert.match(said, /Without it no scope is needed/);
    assert.deepEqual(tags, []);
    const files = ts.sys.readDirectory(join(ROOT, "src"), [".ts"]);
    assert.ok(files.length > 100);
    for (const file of files) {
      assert.doesNotMatch(
        ts.sys.readFile(file) ?? "",
        /@default \{(?:\[\]|\{\}|undefined)?\}/,
        file,
      );
    }
  });
});
