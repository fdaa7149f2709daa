/**
 * Rules and pins in the configuration file.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { runHere as run } from "./fake_io.ts";
import { counter, reach, serving, textOf, withConfig } from "./program.ts";

const TOKENS = { ada: "token-of-ada-0123", bob: "token-of-bob-0123" };
const as = (id: keyof typeof TOKENS) => ({ headers: { authorization: `Bearer ${TOKENS[id]}` } });

function config(more: object = {}) {
  return {
    mcpServers: {
      one: counter("one", {
        policy: {
          tools: {
            deny: ["fail", "e*"],
            rename: { count: "next" },
            rateLimit: { say: { perSecond: 1 } },
          },
        },
      }),
      two: counter("two"),
    },
    auth: {
      tokens: [
        { id: "ada", token: TOKENS.ada },
        {
          id: "bob",
          token: TOKENS.bob,
          policy: { two: false, one: { tools: { allow: ["count", "pid"], approve: ["pid"] } } },
        },
      ],
    },
    ...more,
  };
}

test("[POL-9] rules of servers, tokens and the file hold for each user, and change while it runs", () =>
  withConfig(config(), (file, write) =>
    serving(["--config", file], async (program, url) => {
      const names = async (id: keyof typeof TOKENS) => {
        await using client = await reach(url, as(id));
        return (await client.listTools()).map(({ name }) => name).join(" ");
      };
      const one = "one__next one__pid one__slow one__say";
      assert.equal(
        await names("ada"),
        `${one} two__count two__env two__pid two__slow two__say two__fail`,
      );
      assert.equal(await names("bob"), "one__next one__pid");
      await using bob = await reach(url, as("bob"));
      assert.equal(await textOf(bob, "one__next"), "1");
      assert.match(await textOf(bob, "one__pid"), /needs the user's approval/);

      // A server that is denied is answered as one that doesn't exist
      const answers = await Promise.all(["two", "six"].map(async (name) => {
        const response = await fetch(new URL(`/servers/${name}`, url), {
          method: "POST",
          headers: { "content-type": "application/json", ...as("bob").headers },
          body: '{"jsonrpc":"2.0","id":1,"method":"ping"}',
        });
        return `${response.status} ${(await response.text()).replaceAll(name, "")}`;
      }));
      assert.match(answers[0] ?? "", /^404 /);
      assert.equal(answers[0], answers[1]);
      await using ada = await reach(new URL("/servers/two", url).href, as("ada"));
      assert.equal(await textOf(ada, "count"), "1");

      await write(config({ policy: [{ except: { ids: ["bob"] }, servers: { "*": false } }] }));
      await program.until(/"event":"reloaded"/);
      assert.equal(await names("ada"), "");
      assert.equal(await names("bob"), "one__next one__pid");
      assert.equal(await textOf(bob, "one__next"), "2");
    })));

test("[POL-9] mistakes in rules are reported with their place", () =>
  withConfig({
    mcpServers: {
      files: {
        command: "npx",
        policy: { tools: { denied: ["a"], rename: { a: "c", b: "c" }, rateLimit: { a: 1 } } },
      },
    },
    auth: {
      tokens: [{ id: "ada", token: TOKENS.ada, policy: { file: false, files: { tool: {} } } }],
    },
    policy: [{ for: { id: "ada" }, servers: { files: true } }],
  }, async (file) => {
    const { code, err } = await run(["check", file]);
    assert.equal(code, 1);
    for (
      const line of [
        "mcpServers.files.policy.tools.denied: Unknown key. Use one of allow, deny",
        "mcpServers.files.policy.tools.rename: Give each a name of its own",
        "mcpServers.files.policy.tools.rateLimit.a: Give an object",
        'auth.tokens[0].policy.file: Unknown server. Did you mean "files"?',
        'auth.tokens[0].policy.files.tool: Unknown key. Did you mean "tools"?',
        'policy[0].for.id: Unknown key. Did you mean "ids"?',
        "policy[0].servers.files: Give false, or an object",
      ]
    ) assert.ok(err.includes(line), `${line}\n${err}`);
  }));

test("[POL-10] check says what a user may use, and which rule decides it", () =>
  withConfig(config(), async (file) => {
    const { code, out, err } = await run(["check", file, "--for", "bob"]);
    assert.deepEqual([code, err], [0, ""]);
    const lines = out.split("\n").map((line) => line.trim().replaceAll(/ +/g, " "));
    for (
      const line of [
        'bob may call count as next, since auth.tokens[1].policy.one.tools.allow has "count"',
        'bob may call pid after approval (auth.tokens[1].policy.one.tools.approve has "pid"), since auth.tokens[1].policy.one.tools.allow has "pid"',
        'bob may not call env since mcpServers.one.policy.tools.deny has "e*"',
        "bob may not call say since auth.tokens[1].policy.one.tools.allow does not have it",
        "bob may not call count since auth.tokens[1].policy.two is false",
      ]
    ) assert.ok(lines.includes(line), `${line}\n${out}`);
    const ada = await run(["check", file, "--for", "ada"]);
    assert.match(ada.out, /ada may call +pid +since no rule denies it/);
    const nobody = await run(["check", file, "--for", "eve"]);
    assert.equal(nobody.code, 2);
    assert.match(nobody.err, /Give --for the id of a token, which are "ada", "bob": "eve"/);
  }));

test("[POL-10] check explains every kind of rule", () => {
  const policy = {
    tools: {
      rateLimit: { "*": { perSecond: 1 } },
      fix: { say: { loud: true } },
      hide: { say: ["soft"] },
      override: { say: { title: "Say" } },
      rename: { say: "speak" },
      approve: ["say"],
    },
  };
  return withConfig({ mcpServers: { one: counter("one", { policy }) } }, async (file) => {
    const { out } = await run(["check", file, "--for", "ada"]);
    const place = "mcpServers.one.policy.tools";
    const [line] = out.split("\n").filter((line) => / say /.test(line));
    assert.equal(
      line?.trim().replaceAll(/ +/g, " "),
      `ada may call say as speak, after approval (${place}.approve has "say"), ` +
        `at a limited rate (${place}.rateLimit has "*"), ` +
        `with fixed arguments (${place}.fix has "say"), ` +
        `without some arguments (${place}.hide has "say"), ` +
        `shown in other words (${place}.override has "say"), since no rule denies it`,
    );
  });
});

/** Rules for the server `one`, whose tools are count, pid, env, slow, say and fail. */
const MISTAKES: readonly (readonly [rules: object, line: RegExp])[] = [
  [{ deny: ["one__say"] }, /^FAILED .*tools\.deny: Leave out the prefix, write "say": "one__say"/m],
  [{ deny: ["one__*"] }, /^FAILED .*tools\.deny: Leave out the prefix, write "\*": "one__\*"/m],
  [{ deny: ["sya"] }, /^FAILED .*tools\.deny: "sya" matches nothing .* Did you mean "say"\?/m],
  [{ allow: ["say", "nothing-like-it"] }, /^FAILED .*tools\.allow: "nothing-like-it" matches/m],
  [
    { rename: { say: "speak" }, approve: ["speak"] },
    /^FAILED .*tools\.approve: Give the server's own name, which is "say": "speak"/m,
  ],
  [{ rename: { sya: "speak" } }, /^FAILED .*tools\.rename: "sya" matches nothing/m],
  [{ rateLimit: { sya: { perSecond: 1 } } }, /^FAILED .*tools\.rateLimit: "sya" matches nothing/m],
  [{ fix: { sya: { a: 1 } } }, /^FAILED .*tools\.fix: "sya" matches nothing/m],
  [{ hide: { sya: ["a"] } }, /^FAILED .*tools\.hide: "sya" matches nothing/m],
  [{ override: { sya: { title: "x" } } }, /^FAILED .*tools\.override: "sya" matches nothing/m],
];

test("[POL-14] check --connect fails for a name that matches nothing, and for what never can", async () => {
  for (const [tools, line] of MISTAKES) {
    const config = { mcpServers: { one: counter("one", { policy: { tools } }) } };
    await withConfig(config, async (file) => {
      const { code, out } = await run(["check", file, "--connect"]);
      assert.match(out, line);
      assert.equal(code, 1);
    });
  }
});

test("[POL-14] check --connect warns of a pattern that matches nothing now, and looks in all servers", () => {
  const servers = {
    one: counter("one", { policy: { tools: { deny: ["delete_*"] } } }),
    two: counter("two"),
  };
  const policy = [{ servers: { "*": { tools: { deny: ["say"] } } } }];
  return withConfig({ mcpServers: servers, policy }, async (file) => {
    const { code, out } = await run(["check", file, "--connect"]);
    assert.match(
      out,
      /^warn {3}mcpServers\.one\.policy\.tools\.deny: "delete_\*" matches nothing/m,
    );
    assert.doesNotMatch(out, /FAILED|"say"/);
    assert.equal(code, 0);
  });
});

test("[POL-14] serve logs a rule that matches nothing, and a strict one withholds its server", async () => {
  const servers = (deny: readonly string[]) => ({
    one: counter("one", { policy: { tools: { deny } } }),
    two: counter("two"),
  });
  const line = /"level":"warn","event":"upstream-rule-unmatched".*"pattern":"one__say"/;
  for (const strict of [false, true]) {
    const config = { strict, mcpServers: servers(["one__say"]) };
    await withConfig(config, async (file, write) => {
      await serving(["--config", file], async (program, url) => {
        // At the start, before a client comes.
        await program.until(/"level":"error","event":"rule-unmatched".*Leave out the prefix/);
        await using client = await reach(url);
        const names = (await client.listTools()).map(({ name }) => name);
        assert.equal(names.includes("one__say"), !strict);
        assert.ok(names.includes("two__say"));
        await program.until(line);
        const said = async () => JSON.stringify(await client.callTool("one__say", { text: "x" }));
        if (strict) await assert.rejects(said(), /Unknown tool/);
        else await said();
        await write({ strict, mcpServers: servers(["say"]) });
        await program.until(/"event":"reloaded"/);
        const after = (await client.listTools()).map(({ name }) => name);
        assert.ok(after.includes("one__count") && !after.includes("one__say"), after.join(" "));
      });
    });
  }
});

test("[POL-11] pin writes digests, check and serve notice what isn't as it was pinned", () =>
  withConfig(
    `{\n  // Mine\n  "mcpServers": ${JSON.stringify({ one: counter("one") })}\n}\n`,
    async (file) => {
      const first = await run(["pin", file]);
      assert.deepEqual([first.code, first.err], [0, ""]);
      assert.match(
        first.out,
        /^one: 6 tools, 0 prompts, 0 templates\nWritten to .*mooring\.pins\.json/,
      );
      const text = await readFile(file, "utf8");
      assert.match(text, /\/\/ Mine/);
      assert.match(text, /"pins": "mooring\.pins\.json"/);
      assert.match((await run(["check", file, "--connect"])).out, /^ok {4} one/m);

      const pins = file.replace(/json$/, "pins.json");
      const written = JSON.parse(await readFile(pins, "utf8"));
      const { tools } = written.servers.one;
      [tools.pid, tools.count] = [`sha256:${"0".repeat(64)}`, undefined];
      await writeFile(pins, JSON.stringify(written));
      const changed = await run(["check", file, "--connect"]);
      assert.equal(changed.code, 1);
      assert.match(changed.out, /FAILED one: withheld: tool pid has changed since it was pinned/);
      assert.match(changed.out, /FAILED one: withheld: tool count was not there when/);
      assert.match(
        (await run(["check", file, "--for", "ada"])).out,
        /ada may not call pid +since its definition has changed since it was pinned/,
      );
      await serving(["--config", file], async (program, url) => {
        await using client = await reach(url);
        const names = (await client.listTools()).map(({ name }) => name);
        assert.deepEqual(names, ["one__env", "one__slow", "one__say", "one__fail"]);
        await program.until(/"level":"warn","event":"upstream-definition-withheld".*"name":"pid"/);
      });
      const again = await run(["pin", file, "--server", "one"]);
      assert.match(again.out, / {2}changed tool pid\n/);
      assert.match(again.out, / {2}new {5}tool count\n/);
      assert.equal(await readFile(file, "utf8"), text);
      assert.equal((await run(["check", file, "--connect"])).code, 0);
      await writeFile(pins, "{}");
      assert.match((await run(["check", file])).err, /Write the file again with "mooring pin"/);
    },
  ));
