/**
 * `mooring serve --dashboard` and `mooring top`.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Io, Terminal } from "../../src/cli/io.ts";
import { splitKeys } from "../../src/cli/io.ts";
import { Secrets } from "../../src/cli/redact.ts";
import { run } from "../../src/cli/program.ts";
import { drawScreen } from "../../src/cli/top/screen.ts";
import { TopState } from "../../src/cli/top/state.ts";
import { VIEWS } from "../../src/cli/top/views.ts";
import { callTool, connectClient, type Node, startNode } from "../dashboard/endpoint.ts";
import { soon } from "../support/wire.ts";
import { runHere } from "./fake_io.ts";
import { COUNTER_LINE, Program } from "./program.ts";

/** A terminal whose keys a test presses. */
class FakeTerminal implements Terminal {
  screen: readonly string[] = [];
  begun = 0;
  ended = 0;
  columns = 120;
  rows = 20;
  #listeners: Parameters<Terminal["begin"]>[0] | undefined;
  readonly #wakes = new Set<() => void>();

  begin(listeners: Parameters<Terminal["begin"]>[0]): void {
    this.begun++;
    this.#listeners = listeners;
  }
  size() {
    return { columns: this.columns, rows: this.rows };
  }
  draw(lines: readonly string[]): void {
    this.screen = lines;
    for (const wake of this.#wakes) wake();
  }
  end(): void {
    this.ended++;
  }
  press(...keys: string[]): void {
    this.#listeners?.onKeys(keys);
  }
  resize(columns: number, rows: number): void {
    Object.assign(this, { columns, rows });
    this.#listeners?.onResize();
  }
  get text(): string {
    return this.screen.join("\n");
  }
  /** Waits until the screen shows something. */
  async until(pattern: RegExp): Promise<void> {
    for (let draws = 0; !pattern.test(this.text); draws++) {
      assert.ok(draws < 200, `${pattern} isn't on the screen:\n${this.text}`);
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wakes.add(resolve);
      await soon(promise, `${pattern} on\n${this.text}`, 20_000);
      this.#wakes.delete(resolve);
    }
  }
}

/** Runs `mooring top` on a fake terminal. */
function runTop(node: Node, terminal: FakeTerminal): Promise<number> {
  const secrets = new Secrets();
  const io: Io = {
    env: {},
    secrets,
    out: { write() {} },
    err: { write: (line) => assert.fail(line) },
    terminal: true,
    color: false,
    onSignal: () => () => {},
    openTerminal: () => terminal,
  };
  return run(["top", `${node.page}#${node.links.issue()}`], io);
}

describe("mooring top", () => {
  test("[OPR-10] keys sort, filter, cancel after a yes, and quit; the terminal is given back", async () => {
    const node = await startNode("here", undefined, { updateMs: 50 });
    const client = await connectClient(node, "ada");
    const call = callTool(client, "github__export").then(() => "done", String);
    const terminal = new FakeTerminal();
    const ended = runTop(node, terminal);
    await terminal.until(/github__export +ada +example-client 1\.4\.0 +here .*Page \d+/);
    assert.match(terminal.screen[0] ?? "", /^mooring top · healthy · 1 node · 1 session · 1 call/);
    assert.equal(terminal.screen.length, 20);
    // A filter, and out of it again
    terminal.press("/", "e", "v", "e");
    await terminal.until(/Filter: eve_/);
    assert.match(terminal.text, /Nothing to show/);
    terminal.press("\x1b");
    await terminal.until(/github__export/);
    // Another key than y is a no
    terminal.press("x");
    await terminal.until(/Cancel github__export of ada\? y yes/);
    terminal.press("n");
    await terminal.until(/q quit/);
    assert.equal(node.acts.length, 0);
    terminal.press("x", "y");
    await terminal.until(/The call is cancelled/);
    assert.match(await soon(call, "the call"), /An operator cancelled the request/);
    assert.deepEqual(node.acts.map(({ act, outcome }) => [act, outcome]), [[
      "cancel-call",
      "done",
    ]]);
    terminal.press("t");
    await terminal.until(/github__export +github +1 .* 100\.0%/);
    terminal.press("o", "O");
    terminal.resize(30, 8);
    assert.equal(terminal.screen.length, 8);
    assert.ok(terminal.screen.every((line) => line.length <= 30), terminal.text);
    terminal.resize(120, 20);
    terminal.press("s");
    await terminal.until(/[0-9a-f]{8} +ada/);
    terminal.press("e");
    await terminal.until(/End every session and call of ada\?/);
    terminal.press("y");
    await terminal.until(/Ended 1 sessions/);
    terminal.press("D");
    await terminal.until(/Drain the whole cluster\?/);
    terminal.press("y");
    await terminal.until(/^mooring top · draining/);
    terminal.press("q");
    assert.equal(await soon(ended), 0);
    assert.deepEqual([terminal.begun, terminal.ended], [1, 1]);
    await client.close().catch(() => {});
    await node.close();
  });

  test("[FRONT-24] grants are listed, and ended after a yes: one, or all of a user", async () => {
    const grant = {
      user: { id: "ada", issuer: "https://login.example", name: "ada@example.com" },
      client: { id: "editor", kind: "configured", name: "The Editor" },
      scopes: ["notes:read"],
      resource: "https://mcp.example/mcp",
      since: Date.now() - 7_200_000,
      lastUsed: Date.now(),
    } as const;
    let held = [{ ...grant, id: "one" }, { ...grant, id: "two" }, { ...grant, id: "three" }];
    const grants = {
      list: async () => ({ grants: held }),
      end: async (id: string) => {
        held = held.filter((each) => each.id !== id);
        return true;
      },
      endUser: async () => {
        const { length } = held;
        held = [];
        return length;
      },
    };
    const node = await startNode("here", undefined, { updateMs: 50, grants });
    const terminal = new FakeTerminal();
    const ended = runTop(node, terminal);
    await terminal.until(/^mooring top · healthy/);
    terminal.press("p");
    await terminal.until(
      /ada@example\.com +The Editor +notes:read +https:\/\/mcp\.example\/mcp +2h0m/,
    );
    terminal.press("x");
    await terminal.until(/End what ada@example\.com has allowed The Editor\? y yes/);
    terminal.press("y");
    await terminal.until(/Ended the grant of ada@example\.com to The Editor/);
    assert.equal(held.length, 2);
    terminal.press("E");
    await terminal.until(/End everything that ada has allowed clients\?/);
    terminal.press("y");
    await terminal.until(/Ended 2 grants of ada@example\.com/);
    await terminal.until(/Nothing to show/);
    terminal.press("q");
    assert.equal(await soon(ended), 0);
    await node.close();
  });

  test("[UPA-59] accounts are listed, found by a filter, and disconnected after a yes", async () => {
    const account = {
      user: { id: "ada", issuer: "https://login.example" },
      issuer: "https://login-notes.example",
      scopes: ["read", "write"],
      since: Date.now() - 7_200_000,
      renewed: Date.now(),
      isEnded: false,
    };
    let held = [
      { ...account, id: "one", upstream: "notes" },
      { ...account, id: "two", upstream: "mail", isEnded: true },
    ];
    const accounts = {
      list: async () => ({ accounts: held }),
      disconnect: async (id: string) => {
        held = held.filter((each) => each.id !== id);
        return true;
      },
    };
    const node = await startNode("here", undefined, { updateMs: 50, accounts });
    const terminal = new FakeTerminal();
    const ended = runTop(node, terminal);
    await terminal.until(/^mooring top · healthy/);
    terminal.press("i");
    await terminal.until(
      /ada +notes +https:\/\/login-notes\.example +read write +connected +2h0m/,
    );
    await terminal.until(/ada +mail .* asks again/);
    terminal.press("/", "n", "o", "t", "e", "s", "\r");
    await terminal.until(/^(?!.*mail)/s);
    terminal.press("x");
    await terminal.until(/Disconnect ada from notes\? y yes/);
    terminal.press("n");
    await terminal.until(/q quit/);
    assert.equal(held.length, 2);
    terminal.press("x", "y");
    await terminal.until(/Disconnected ada from notes/);
    assert.deepEqual(held.map(({ id }) => id), ["two"]);
    await terminal.until(/Nothing to show/);
    assert.deepEqual(node.acts.map(({ act, target }) => [act, target]), [
      ["disconnect-account", "one"],
    ]);
    terminal.press("q");
    assert.equal(await soon(ended), 0);
    await node.close();
  });

  test("[OPR-10, OPR-6] plain text and JSON, once or for each update, and what is wrong is said", async () => {
    const node = await startNode("here", undefined, { updateMs: 50 });
    const client = await connectClient(node, "ada");
    await callTool(client, "files__read_file");
    const link = () => `${node.page}#${node.links.issue()}`;
    const once = await runHere(["top", link(), "--once"]);
    assert.equal(once.code, 0);
    assert.match(once.out, /^\d{4}-.* healthy · 1 node · 1 session · 0 calls/);
    assert.match(once.out, /\nTools \(\d\)\nTOOL .*\n.*files__read_file +files +1 /s);
    const json = JSON.parse((await runHere(["top", link(), "--once", "--json"])).out);
    assert.equal(json.sessions[0].principal, "ada");
    const used = link();
    await runHere(["top", used, "--once"]);
    const cases: readonly (readonly [readonly string[], number, RegExp])[] = [
      [["top", used, "--once"], 1, /used already.*Make a new link/],
      [["top", node.page], 2, /Give a link that works once, in quotes, or --token-env NAME/],
      [["top", "ftp://x"], 2, /Give the URL of a dashboard/],
      [["top"], 2, /Give what to top: mooring top URL/],
      [["top", node.page, "--token-env", "NOPE"], 2, /--token-env: .*NOPE/],
      [["top", "http://127.0.0.1:1/#x"], 1, /Start the server with --dashboard, or correct/],
    ];
    for (const [args, code, message] of cases) {
      const result = await runHere(args);
      assert.equal(result.code, code, result.err);
      assert.match(result.err, message);
    }
    await client.close();
    await node.close();
  });

  test("[OPR-10] text from outside can't control the terminal, and long tables scroll", () => {
    const state = new TopState();
    const calls = Array.from({ length: 100 }, (_, index) => ({
      key: `${index}`,
      endpoint: "",
      node: "n",
      id: index,
      session: "",
      principal: "evil\x1b[2J\u202e",
      issuer: "",
      client: "x".repeat(500),
      method: "tools/call",
      tool: `tool-${String(index).padStart(3, "0")}`,
      upstream: "",
      era: "2025",
      startedAt: 1_000 + index,
    }));
    state.apply({ at: 5_000, omitted: 3, reset: true, set: { calls }, del: {} });
    const [view] = VIEWS;
    const screen = drawScreen({
      state,
      view: view ?? assert.fail(),
      sort: [0, false],
      color: true,
      prompt: "",
      selected: "99",
      top: 0,
      columns: 110,
      rows: 12,
    });
    assert.deepEqual([screen.lines.length, screen.selected, screen.top], [12, 99, 93]);
    const drawn = screen.lines.join("");
    assert.ok(!drawn.includes("\x1b[2J") && !drawn.includes("\u202e"));
    assert.match(screen.lines.join("\n"), /tool-099 evil\\u001b\[2J/);
    assert.match(screen.lines[0] ?? "", /3 rows left out/);
    assert.deepEqual(splitKeys("a\x1b[A\x1b[5~é\x1b"), ["a", "\x1b[A", "\x1b[5~", "é", "\x1b"]);
  });
});

describe("mooring serve --dashboard", () => {
  test("[OPR-6, OPR-10] prints links that work once, on 127.0.0.1, and leaves none in the log", async () => {
    const server = new Program(
      ["serve", "--stdio", COUNTER_LINE, "--port", "0", "--dashboard", "--dashboard-port", "0"]
        .concat("--dashboard-token-env", "OPS", "--log", "json"),
      { OPS: "an operator's token" },
    );
    const [, page = "", secret = ""] = await server.until(
      /(http:\/\/127\.0\.0\.1:\d+\/)#([\w-]{43})/,
    );
    await server.until(/mooring top 'http:\S+#[\w-]{43}'/);
    assert.equal((await fetch(page)).status, 401);
    const signIn = () =>
      fetch(`${page}session`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ link: secret }),
      });
    assert.equal((await signIn()).status, 204);
    assert.equal((await signIn()).status, 401);
    const watched = new Program(["top", page, "--token-env", "OPS", "--once", "--json"], {
      OPS: "an operator's token",
    });
    assert.equal(await watched.ended, 0);
    const { nodes, upstreams } = JSON.parse(watched.out);
    assert.deepEqual(
      nodes.map(({ endpoint, state }: Record<string, unknown>) => [endpoint, state]),
      [
        ["/mcp", "healthy"],
      ],
    );
    assert.deepEqual(upstreams.map(({ kind }: Record<string, unknown>) => kind), ["stdio"]);
    server.signal("SIGTERM");
    assert.equal(await server.ended, 0);
    assert.ok(!server.err.includes(secret) && !server.err.includes("an operator's token"));
    const { code, err } = await runHere(["serve", "--http", "http://x/", "--dashboard-port", "1"]);
    assert.deepEqual([code, err], [2, "Give --dashboard-port only with --dashboard\n"]);
  });
});
