/**
 * Files of Codex, Gemini CLI, opencode and Zed, read as they are.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import fc from "fast-check";
import { parseConfig } from "../../src/cli/config/config.ts";
import { readToml, tomlLocator } from "../../src/cli/config/toml.ts";
import { CliError } from "../../src/cli/errors.ts";
import { importServers } from "../../src/cli/import/import.ts";
import { JsonError } from "../../src/cli/config/json.ts";
import type { CommandActions } from "../../src/cli/program.ts";
import { Secrets } from "../../src/cli/redact.ts";
import { runHere } from "./fake_io.ts";

const ENV = { TOKEN: "s3cret-token-0123", PATH: "/bin", HOME: "/home/ada" };

function read(file: string, value: unknown) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const { config, warnings, secrets } = parseConfig({ file, text, env: ENV });
  const known = new Secrets();
  known.add(secrets);
  return { servers: config.mcpServers, warnings, redact: known.redact };
}

function errorOf(file: string, text: string): string {
  try {
    read(file, text);
  } catch (error) {
    assert.ok(error instanceof CliError, String(error));
    assert.doesNotMatch(error.message, /s3cret/);
    return error.message;
  }
  throw new Error("Nothing was wrong");
}

describe("files of other programs", () => {
  test("[CMD-23] Codex's TOML is served, with the variables that it names", () => {
    const text = `model = "gpt-5"

[mcp_servers.files]
command = "npx"
args = ["-y", "server-files", "\${HOME}"]
cwd = "/srv"
env_vars = ["TOKEN"]
tool_timeout_sec = 90
startup_timeout_sec = 20
enabled_tools = ["read"]

[mcp_servers.files.env]
LEVEL = "info"

[mcp_servers."my tickets"]
url = "https://tickets.example/mcp"
bearer_token_env_var = "TOKEN"
http_headers = { "X-Org" = "org" }
env_http_headers = { "X-Key" = "TOKEN" }

[mcp_servers.off]
command = "x"
enabled = false
`;
    const { servers, warnings, redact } = read("/home/ada/.codex/config.toml", text);
    assert.deepEqual(servers, {
      files: {
        command: "npx",
        args: ["-y", "server-files", "${HOME}"],
        cwd: "/srv",
        env: { TOKEN: ENV.TOKEN, LEVEL: "info" },
        timeoutMs: 90_000,
      },
      "my-tickets": {
        url: "https://tickets.example/mcp",
        headers: { "X-Org": "org", "X-Key": ENV.TOKEN, Authorization: `Bearer ${ENV.TOKEN}` },
      },
      off: { command: "x", disabled: true },
    });
    const file = "/home/ada/.codex/config.toml";
    assert.deepEqual(
      warnings.map((line) => line.replace(/(: [A-Z"].{9}).*/, "$1")),
      [
        `${file}:1:1: Only the s`,
        `${file}:5:1: mcp_servers.files.args[2]: "\${HOME}" `,
        `${file}:9:1: mcp_servers.files.startup_timeout_sec: Not honour`,
        `${file}:10:1: mcp_servers.files.enabled_tools: Not honour`,
        `${file}:15:1: mcp_servers["my tickets"]: Served as `,
      ].sort((a, b) => Number(a.split(":")[1]) - Number(b.split(":")[1])),
    );
    assert.equal(redact(ENV.TOKEN), "[secret]");
  });

  test("[CMD-23] broken TOML is an error with its place, and without its text", () => {
    for (
      const text of [
        '[mcp_servers.a]\ncommand = "s3cret',
        "[mcp_servers.a]\nkey = s3cret\n",
        '[a]\n[a]\nx = "s3cret"',
        `a = ${"[".repeat(100)}"s3cret"${"]".repeat(100)}`,
        "[mcp_servers.a",
      ]
    ) {
      assert.match(errorOf("c.toml", text), /^c\.toml:\d+:\d+: Correct the TOML here, or before$/);
    }
    const deep = `[${"a.".repeat(100_000)}a]\nx = "s3cret"`;
    assert.equal(errorOf("c.toml", deep), "c.toml:1:1: Nest at most 64 levels");
    assert.equal(tomlLocator(deep)(["a", "a"]), 0);
    assert.match(errorOf("c.toml", "[mcp_servers.a]\nargs = 1"), /^c\.toml:1:1: mcp_servers\.a: /);
    assert.match(errorOf("c.toml", "[mcp_servers.a]\ncommand = 1"), /^c\.toml:2:1: .*command/);
  });

  test("[CMD-23] whatever TOML a file has, it is read, or the error says where", () => {
    fc.assert(fc.property(
      fc.oneof(
        fc.string(),
        fc.string({
          unit: fc.constantFrom("[", "]", "a", ".", "=", '"', "\n", "1", "{", "}", ","),
        }),
      ),
      (text) => {
        try {
          readToml(text);
        } catch (error) {
          assert.ok(error instanceof JsonError, String(error));
        }
        assert.equal(typeof tomlLocator(text)(["a", "b"]), "number");
      },
    ));
  });

  test("[CMD-23] a name that is a property of every object stays a name", () => {
    const { value } = readToml('[mcp_servers.__proto__]\ncommand = "x"\n');
    const servers = (value as { mcp_servers: object }).mcp_servers;
    assert.deepEqual(Object.keys(servers), ["__proto__"]);
    assert.equal(({} as { command?: string }).command, undefined);
  });

  test("[CMD-24] Gemini CLI's URLs and variables mean what they mean to it", () => {
    const { servers, warnings } = read("/srv/app/.gemini/settings.json", {
      theme: "dark",
      mcpServers: {
        web: {
          httpUrl: "https://w.example/mcp",
          headers: { Authorization: "Bearer $TOKEN" },
          timeout: 5_000,
          trust: true,
        },
        old: { url: "https://o.example/sse" },
        new: { url: "https://n.example/mcp", type: "http" },
        own: { command: "x", args: ["$HOME/a", "${TOKEN}", "5$", "$5"], includeTools: ["a"] },
      },
    });
    assert.deepEqual(servers, {
      web: {
        url: "https://w.example/mcp",
        headers: { Authorization: `Bearer ${ENV.TOKEN}` },
        timeoutMs: 5_000,
      },
      old: { url: "https://o.example/sse" },
      new: { url: "https://n.example/mcp", type: "http" },
      own: { command: "x", args: ["/home/ada/a", ENV.TOKEN, "5$", "$5"], cwd: "/srv/app" },
    });
    const said = warnings.join("\n");
    assert.match(said, /Only the servers are read: Gemini CLI has 1 other setting here/);
    assert.match(said, /mcpServers\.old\.type: Tried as Streamable HTTP/);
    assert.match(said, /mcpServers\.web\.trust: /);
    assert.match(said, /mcpServers\.own\.includeTools: /);
    assert.equal(warnings.length, 4);
    const unset = { mcpServers: { a: { httpUrl: "https://a.example/$GONE" } } };
    assert.match(errorOf("/x/.gemini/settings.json", JSON.stringify(unset)), /GONE/);
  });

  test("[CMD-25] opencode's and Zed's servers are served", () => {
    const opencode = read("/srv/app/opencode.json", {
      $schema: "https://opencode.ai/config.json",
      mcp: {
        files: {
          type: "local",
          command: ["npx", "-y", "files"],
          environment: { KEY: "{env:TOKEN}", SHELL_LIKE: "${HOME}" },
          timeout: 5_000,
        },
        web: {
          type: "remote",
          url: "https://w.example/mcp",
          headers: { Authorization: "Bearer {env:TOKEN}" },
        },
        off: { type: "remote", url: "https://o.example/mcp", enabled: false },
      },
    });
    assert.deepEqual(opencode.servers, {
      files: {
        command: "npx",
        args: ["-y", "files"],
        env: { KEY: ENV.TOKEN, SHELL_LIKE: "${HOME}" },
        cwd: "/srv/app",
      },
      web: {
        url: "https://w.example/mcp",
        headers: { Authorization: `Bearer ${ENV.TOKEN}` },
      },
      off: { url: "https://o.example/mcp", disabled: true },
    });
    const file = JSON.stringify({
      mcp: { a: { type: "remote", url: "https://a.example", headers: { A: "{file:~/s3cret}" } } },
    });
    assert.match(errorOf("opencode.json", file), /Give the value in a variable/);

    const zed = read(
      "/home/ada/.config/zed/settings.json",
      `{
      // Zed's own settings
      "theme": "One",
      "context_servers": {
        "plain": { "source": "custom", "command": "x", "args": ["$HOME"], "env": { "A": "b" } },
        "older": { "command": { "path": "y", "args": ["1"], "env": null } },
        "web": { "url": "https://w.example/mcp", "headers": { "A": "b" } },
        "extension": { "source": "extension", "settings": { "key": "s3cret" } },
      },
    }`,
    );
    assert.deepEqual(zed.servers, {
      plain: { command: "x", args: ["$HOME"], env: { A: "b" } },
      older: { command: "y", args: ["1"] },
      web: { url: "https://w.example/mcp", headers: { A: "b" } },
    });
    assert.match(zed.warnings.join("\n"), /:8:\d+: context_servers\.extension\.source: Left out/);
    assert.doesNotMatch(zed.warnings.join("\n"), /s3cret/);
  });

  test("[CMD-26] CLAUDE_PROJECT_DIR is the project's folder in a file of Claude Code", () => {
    const args = ["${CLAUDE_PROJECT_DIR}/a", "${CLAUDE_PROJECT_DIR:-.}/b"];
    const { servers, warnings } = read("/srv/app/.mcp.json", {
      mcpServers: { a: { command: "x", args } },
    });
    assert.deepEqual(servers, {
      a: { command: "x", args: ["/srv/app/a", "/srv/app/b"], cwd: "/srv/app" },
    });
    assert.deepEqual(warnings, []);
  });

  test("[CMD-27] mooring import finds the files of Codex, Gemini CLI, opencode and Zed", async () => {
    const home = await mkdtemp(join(tmpdir(), "others-"));
    try {
      const write = async (path: string, text: string): Promise<void> => {
        await mkdir(dirname(join(home, path)), { recursive: true });
        await writeFile(join(home, path), text);
      };
      await write(
        ".codex/config.toml",
        '[mcp_servers.c]\nurl = "https://c.example/mcp"\nbearer_token_env_var = "CODEX"\n',
      );
      await write(
        ".gemini/settings.json",
        '{"mcpServers":{"g":{"httpUrl":"https://g.example/mcp"}}}',
      );
      await write(
        ".config/opencode/opencode.json",
        '{"mcp":{"o":{"type":"local","command":["o"]}}}',
      );
      await write(".config/zed/settings.json", '{"context_servers":{"z":{"command":"z"}}}');
      const unused = () => Promise.reject(new Error("Not this one"));
      const commands: CommandActions = {
        serve: unused,
        stdio: unused,
        check: unused,
        inspect: unused,
        bundle: unused,
        serverJson: unused,
        importServers: (options, io) =>
          importServers(options, io, { platform: "linux", env: { HOME: home }, cwd: home }),
      };
      const { code, out, err } = await runHere(["import"], {}, commands);
      assert.deepEqual([code, err], [0, ""], out);
      assert.deepEqual(JSON.parse(await readFile(join(home, "mooring.json"), "utf8")).mcpServers, {
        c: { url: "https://c.example/mcp", headers: { Authorization: "Bearer ${CODEX}" } },
        g: { url: "https://g.example/mcp" },
        o: { command: "o", args: [] },
        z: { command: "z" },
      });
    } finally {
      await rm(home, { recursive: true });
    }
  });
});
