import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, test } from "node:test";
import { parse } from "smol-toml";

const page = await readFile(new URL("../../docs/clients.md", import.meta.url), "utf8");

/** The blocks of one language, each with the heading that it stands under. */
function blocks(language: string): { heading: string; text: string }[] {
  return page.split(/^## /m).flatMap((section) => {
    const heading = section.slice(0, section.indexOf("\n"));
    const found = section.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\``, "gm"));
    return [...found].map(([, text = ""]) => ({ heading, text }));
  });
}

/** A server as a client's configuration names it. */
interface Entry {
  readonly url?: string;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly command?: string;
  readonly args?: readonly string[];
}

/** Checks what all clients have in common. */
function checkEntry(entry: Entry, where: string): void {
  assert.notEqual(entry.url === undefined, entry.command === undefined, where);
  if (entry.url !== undefined) assert.equal(entry.url, "https://api.example/mcp", where);
  const { Authorization = "Bearer " } = entry.headers ?? {};
  assert.match(Authorization, /^Bearer /, where);
  // A token never stands in a file; each client has its own way to name a variable.
  assert.match(Authorization, /^Bearer ($|\$)/, where);
}

describe("docs/clients.md", () => {
  test("[HOST-6] its JSON parses, and has the servers where the client looks for them", () => {
    const found = blocks("json");
    const headings = ["Claude Code", "Claude Desktop", "Cursor", "VS Code", "Gemini CLI"];
    assert.deepEqual([...new Set(found.map(({ heading }) => heading))], headings);
    for (const { heading, text } of found) {
      const file: Record<string, Record<string, Entry>> = JSON.parse(text);
      const servers = file[heading === "VS Code" ? "servers" : "mcpServers"];
      assert.ok(servers !== undefined, heading);
      for (const entry of Object.values(servers)) {
        checkEntry(entry, heading);
        if (heading === "VS Code") {
          assert.equal(entry.type, entry.url === undefined ? "stdio" : "http");
        }
        if (heading === "Claude Desktop") assert.ok(entry.command !== undefined);
      }
    }
  });

  test("[HOST-6] an input that VS Code asks for is one that it uses", () => {
    const { text = "" } = blocks("json").find(({ heading }) => heading === "VS Code") ?? {};
    const { inputs }: { inputs: { id: string; type: string }[] } = JSON.parse(text);
    assert.deepEqual(
      inputs.map(({ id }) => id),
      [...text.matchAll(/\$\{input:([^}]+)\}/g)].map(
        ([, id]) => id,
      ),
    );
  });

  test("[HOST-6] its TOML parses, and has the servers where Codex looks for them", () => {
    const [{ text = "" } = {}, ...more] = blocks("toml");
    assert.equal(more.length, 0);
    assert.deepEqual(JSON.parse(JSON.stringify(parse(text))), {
      mcp_servers: {
        "notes": { url: "https://api.example/mcp", bearer_token_env_var: "NOTES_TOKEN" },
        "local-notes": { command: "node", args: ["/path/to/notes.js"] },
      },
    });
  });

  test("[HOST-6] the table names the packages whose programs are tested, at their versions", async () => {
    const file = new URL("../../tools/clients/package.json", import.meta.url);
    const { dependencies } = JSON.parse(await readFile(file, "utf8"));
    const programs = blocks("ts ignore").map(({ text }) => /from "([^"]+)"/.exec(text)?.[1] ?? "");
    assert.equal(programs.length, 4);
    for (const name of programs) {
      assert.ok(page.includes(`\`${name}\` ${dependencies[name]} `), name);
    }
  });
});
