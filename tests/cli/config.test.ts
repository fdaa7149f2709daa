/**
 * The configuration file: what it may say, and what is said when it doesn't.
 *
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseConfig } from "../../src/cli/config/config.ts";
import { expand } from "../../src/cli/config/env.ts";
import { JsonError, parseJson } from "../../src/cli/config/json.ts";
import { Secrets } from "../../src/cli/redact.ts";
import { settingsOf } from "../../src/cli/config/settings.ts";

const ENV = { TOKEN: "s3cret-0123456789", EMPTY: "" };

const parse = (value: unknown, env: Record<string, string> = ENV) =>
  parseConfig({ file: "m.json", text: JSON.stringify(value), env });

/** The lines of the complaint about a configuration. */
function complaints(value: unknown): string[] {
  try {
    parse(value);
  } catch (error) {
    assert.ok(error instanceof Error);
    assert.doesNotMatch(error.message, /s3cret/);
    return error.message.split("\n");
  }
  throw new Error("Nothing was wrong");
}

test("a configuration of a desktop client is taken as it is", () => {
  const mcpServers = {
    files: { command: "npx", args: ["-y", "server", "/tmp"], env: { A: "b" }, cwd: "/tmp" },
    typed: { type: "stdio", command: "x" },
    remote: { type: "http", url: "https://mcp.example/mcp", headers: { "X-Key": "k" } },
    streamable: { type: "streamable-http", url: "http://127.0.0.1:1/", disabled: true },
  };
  assert.deepEqual(parse({ mcpServers }).config, { mcpServers });
});

test("everything that may be said is taken", () => {
  const whole = {
    $schema: "x",
    mcpServers: {},
    separator: "-",
    stateless: "principal",
    host: "0.0.0.0",
    port: 1,
    path: "/a/b",
    publicUrl: "https://x.example",
    auth: { tokens: [{ id: "ada", token: "0123456789abcdef", scopes: ["a"] }] },
    allowedOrigins: ["https://a"],
    allowedHosts: ["a"],
    rateLimit: { perSecond: 0.5, burst: 2, header: "x-forwarded-for" },
    limits: { sessions: 1, streams: 0 },
    sessions: { idleMs: 1, absoluteMs: 2 },
    requests: { timeoutMs: 0 },
    graceMs: 0,
    redis: { url: "redis://127.0.0.1", prefix: "p" },
    secret: "0123456789abcdef0123456789abcdef",
    data: "none",
    dashboard: {
      port: 8_001,
      allowedHosts: ["ops.example"],
      proxy: { header: "x-forwarded-user", from: ["10.0.0.0/8", "::1", "fd00::/8"] },
      recordArguments: true,
      recordResults: false,
    },
    operators: { ada: "0123456789abcdef", "grace hopper@example": "fedcba9876543210" },
    events: { nodeName: "north", address: "hashed", addressHeader: "x-real-ip" },
    log: "json",
    logLevel: "debug",
  };
  assert.deepEqual(parse(whole).config, whole);
  assert.equal(parse({ mcpServers: {}, port: "${PORT:-81}" }).config.port, 81);
});

const DASHBOARD = { mcpServers: {}, dashboard: true };

const WRONG: readonly (readonly [unknown, RegExp])[] = [
  [{ mcpServers: {}, dashboard: 1 }, /: dashboard: Give true, or an object such as/],
  [{ mcpServers: {}, dashboard: { prot: 1 } }, /: dashboard\.prot: .*Did you mean "port"\?/],
  [{ mcpServers: {}, dashboard: { token: "short" } }, /: dashboard\.token: Give a token of 16/],
  [{ mcpServers: {}, dashboard: { allowedHosts: [] } }, /allowedHosts: Name at least one host/],
  [{ mcpServers: {}, dashboard: { recordResults: "yes" } }, /recordResults: Give true or false/],
  [
    { mcpServers: {}, dashboard: { proxy: { header: "x y", from: [] } } },
    /proxy\.header: Give the name of a header$/,
  ],
  [{ mcpServers: {}, dashboard: { proxy: { from: [] } } }, /from: Name at least one address/],
  ...["10.0.0.0/33", "localhost", "10.0.0.0/", "1.2.3.4/8/8", "::/129"].map((network) =>
    [
      { mcpServers: {}, dashboard: { proxy: { header: "x-user", from: [network] } } },
      /proxy\.from\[0\]: Give an IP address, or a network such as "10\.0\.0\.0\/8"/,
    ] as const
  ),
  [{ mcpServers: {}, operators: { ada: "s3cret-0123456789" } }, /operators: Add "dashboard": true/],
  [{ ...DASHBOARD, operators: {} }, /operators: Name at least one operator/],
  [{ ...DASHBOARD, operators: ["ada"] }, /operators: Give an object from names/],
  [{ ...DASHBOARD, operators: { ada: "short" } }, /operators\.ada: Give a token of 16 characters/],
  [{ ...DASHBOARD, operators: { " ": "s3cret-0123456789" } }, /Use letters, digits, blanks/],
  [
    { ...DASHBOARD, operators: { ada: "s3cret-0123456789", eve: "s3cret-0123456789" } },
    /operators: Give each operator a token of its own/,
  ],
  [
    {
      mcpServers: {},
      dashboard: { token: "s3cret-0123456789" },
      operators: { ada: "s3cret-9876543210" },
    },
    /dashboard\.token: Give scripts a name and a token in operators instead/,
  ],
  [{ mcpServers: {}, events: { address: "whole" } }, /Give one of full, short, none, hashed/],
  [{ mcpServers: {}, events: { nodeName: "x".repeat(101) } }, /nodeName: Give 100 characters/],
  [{ mcpServers: {}, events: { adress: "full" } }, /Did you mean "address"\?/],
  [[], /^m\.json:1:1: Give an object$/],
  [{}, /^m\.json:1:1: mcpServers: Give an object of servers by name$/],
  [{ servers: {}, mcpServers: {} }, /servers: Unknown key\. Did you mean "mcpServers"\?/],
  [{ mcpServers: {}, prot: 1 }, /prot: Unknown key\. Did you mean "port"\?/],
  [{ mcpServers: {}, bananas: 1 }, /bananas: Unknown key\. Use one of \$schema, mcpServers/],
  [
    { mcpServers: { a: 1 } },
    /mcpServers\.a: Give an object with a "command", a "url" or an "openapi"/,
  ],
  [{ mcpServers: { "a b": {} } }, /mcpServers\["a b"\]: Use letters, digits/],
  [{ mcpServers: { a__b: { command: "x" } } }, /mcpServers\.a__b: Leave the separator out/],
  [{ mcpServers: { a: { comand: "x" } } }, /mcpServers\.a\.comand: .* Did you mean "command"\?$/],
  [
    { mcpServers: { a: { command: "x", args: ["y", 1] } } },
    /mcpServers\.a\.args\[1\]: Give a string/,
  ],
  [{ mcpServers: { a: { url: "s3cret:x" } } }, /mcpServers\.a\.url: Give a URL/],
  [{ mcpServers: { a: { url: "https://u:s3cret@x" } } }, /Give the user and password as an/],
  [{ mcpServers: { a: { command: "x", versions: ["1"] } } }, /versions\[0\]: Give one of 2026/],
  [{ mcpServers: { a: { url: "http://x", type: "pigeon" } } }, /a\.type: Leave the type out/],
  [{ mcpServers: { a: { url: "http://x", hedaers: {} } } }, /a\.hedaers: .* "headers"\?/],
  [
    { mcpServers: { a: { url: "https://x", headers: { host: "s3cret" } } } },
    /mcpServers\.a: Leave a header that the transport sets out of "headers": host$/,
  ],
  [{ mcpServers: {}, allowedOrigins: ["https://a/b c"] }, /allowedOrigins\[0\]: Give an origin/],
  [{ mcpServers: {}, allowedHosts: ["https://a"] }, /allowedHosts\[0\]: Give a host name/],
  [
    { mcpServers: {}, rateLimit: { perSecond: 1, header: "a b" } },
    /rateLimit\.header: Give the name of a header/,
  ],
  [
    { mcpServers: {}, auth: { jwt: { issuer: "https://x", jwksUri: "http://x.example" } } },
    /auth\.jwt: Use https, or set "allowHttp", for "jwksUri": x\.example/,
  ],
  [
    {
      mcpServers: {},
      auth: { jwt: { issuer: "https://x", jwksUri: "https://x", algorithms: ["HS256"] } },
    },
    /auth\.jwt: Name asymmetric algorithms/,
  ],
  [{ mcpServers: {}, port: 65_536 }, /port: Give a whole number, 0 to 65535/],
  [{ mcpServers: {}, path: "/health" }, /path: Give another path/],
  [{ mcpServers: {}, path: "/servers/x" }, /path: Give another path/],
  [{ mcpServers: {}, path: "/:x" }, /path: Give a path of letters/],
  [{ mcpServers: {}, limits: { sesions: 1 } }, /limits\.sesions: .* "sessions"\?/],
  [{ mcpServers: {}, auth: {} }, /auth: Give exactly one of tokens, jwt and introspection/],
  [{ mcpServers: {}, auth: { tokens: [{ id: "a", token: "s3cret" }] } }, /\[0\]\.token: .*16 char/],
  [
    { mcpServers: {}, auth: { jwt: { issuer: "https://x", jwksUri: "https://x" } } },
    /publicUrl: Give the URL/,
  ],
  [{ mcpServers: {}, redis: "s3cret" }, /redis: Give a URL that begins with "redis:/],
  [{ mcpServers: {}, secret: "s3cret" }, /secret: Give a secret of 32/],
  [{ mcpServers: { a: { command: "${NOPE}" } } }, /a\.command: Set the environment variable NOPE$/],
  [{ mcpServers: { a: { command: "${TOKEN" } } }, /a\.command: Write a variable as/],
  [{ mcpServers: {}, port: "${TOKEN}" }, /port: Give a whole number/],
];

for (const [value, message] of WRONG) {
  test(`a configuration is refused: ${JSON.stringify(value)}`, () => {
    const lines = complaints(value);
    assert.ok(lines.some((line) => message.test(line)), lines.join("\n"));
  });
}

test("[CMD-1] everything that is wrong is reported at once", () => {
  assert.deepEqual(
    complaints({
      mcpServers: { a: { comand: "x" }, b__c: { command: "${NOPE}" }, d: { url: "${NONE}" } },
      port: "${PORT_OF_IT}",
      path: "x",
      auth: { jwt: { issuer: "https://x", jwksUri: 1 } },
      redis: { url: "${REDIS_OF_IT}" },
      bananas: true,
    }).map((line) => line.replace(/^m\.json:1:\d+: /, "").replace(/Use one of .*/, "Use one of")),
    [
      "secret: Give a secret of 32 characters or more, the same on all nodes: they sign with it",
      "publicUrl: Give the URL that clients use, without the path: their tokens name it",
      'mcpServers.a.comand: Unknown key. Did you mean "command"?',
      "mcpServers.b__c: Leave the separator out of the name, or choose another one: __",
      "mcpServers.b__c.command: Set the environment variable NOPE",
      "mcpServers.d.url: Set the environment variable NONE",
      "port: Set the environment variable PORT_OF_IT",
      'path: Give a path of letters, digits and -._~ that begins with "/"',
      "auth.jwt.jwksUri: Give a string",
      "redis.url: Set the environment variable REDIS_OF_IT",
      "bananas: Unknown key. Use one of",
    ],
  );
  // A separator that is wrong itself isn't shown
  const lines = complaints({ mcpServers: { a: { command: "x" } }, separator: "s3cret-separator" });
  assert.deepEqual(lines, ["m.json:1:37: separator: Give 1 to 8 letters, digits, -, _ and dots"]);
});

const GOOD = {
  mcpServers: {
    files: { command: "true", args: ["a"], env: { K: "v" } },
    web: { url: "https://x.example/mcp", headers: { a: "b" } },
  },
  port: 8080,
  publicUrl: "https://mcp.example",
  auth: { tokens: [{ id: "ada", token: "0123456789abcdef" }] },
  policy: [{ for: { ids: ["ada"] }, servers: { files: { tools: { deny: ["x"] } } } }],
};

/** Single mistakes, as replacements in the text of a good file, with all that is said about each. */
const SINGLE: readonly (readonly [string, string, string])[] = [
  ['"command":', '"comand":', 'mcpServers.files.comand: Unknown key. Did you mean "command"?'],
  ['"args":', '"arg":', 'mcpServers.files.arg: Unknown key. Did you mean "args"?'],
  ['"url":', '"uri":', 'mcpServers.web.uri: Unknown key. Did you mean "url"?'],
  ['"mcpServers":', '"mcpServer":', 'mcpServer: Unknown key. Did you mean "mcpServers"?'],
  // However little they look alike
  ['"mcpServers":', '"things":', 'things: Unknown key. Did you mean "mcpServers"?'],
  ['"tokens":', '"token":', 'auth.token: Unknown key. Did you mean "tokens"?'],
  ['"token":', '"tokn":', 'auth.tokens[0].tokn: Unknown key. Did you mean "token"?'],
  ['"servers":', '"server":', 'policy[0].server: Unknown key. Did you mean "servers"?'],
  ['"tools":', '"tool":', 'policy[0].servers.files.tool: Unknown key. Did you mean "tools"?'],
  [
    '"servers":{"files"',
    '"servers":{"fils"',
    'policy[0].servers.fils: Unknown server. Did you mean "files"?',
  ],
  ['["a"]', '"a"', "mcpServers.files.args: Give a list of strings"],
  ['{"K":"v"}', '"K=v"', "mcpServers.files.env: Give an object of strings"],
  ["8080", '"many"', "port: Give a whole number, 0 to 65535"],
  ['"v"', '"${NONE}"', "mcpServers.files.env.K: Set the environment variable NONE"],
  [
    '["a"],"env":{"K":"v"}',
    '["${NONE}","${NONE}"],"env":{"K":"${NONE}"}',
    "mcpServers.files.args[0]: Set the environment variable NONE",
  ],
  ['"https://x.example/mcp"', '"${NONE}"', "mcpServers.web.url: Set the environment variable NONE"],
  [
    '"tokens":[',
    '"jwt":{"issuer":"https://x","jwksUri":"https://x/j"},"tokens":[',
    "auth: Give exactly one of tokens, jwt and introspection",
  ],
  ['"a"]', '"a"', 'Close the list with a "]" before this key'],
  ['"true",', '"true,\n', "Close this text with a double quote, on its line"],
  ['"true",', 'true",\n', "Close this text with a double quote, on its line"],
];

test("[CMD-14] one mistake has one line", () => {
  const good = JSON.stringify(GOOD);
  parseConfig({ file: "m.json", text: good, env: {} });
  for (const [what, typo, said] of SINGLE) {
    assert.equal(good.split(what).length, 2, what);
    const text = good.replace(what, () => typo);
    assert.throws(() => parseConfig({ file: "m.json", text, env: {} }), (error) => {
      assert.ok(error instanceof Error);
      assert.equal(error.message.replace(/^m\.json:\d+:\d+: /, ""), said);
      return true;
    });
  }
});

test("[CMD-1] each mistake has its line, in the order of the file", () => {
  const text = `{
  // Comments count
  "mcpServers": {
    "files": {
      "command": "npx",
      "args": ["-y", 1],
      "evn": {}
    },
    "files": { "command": 1 },
    "far": { "url": "ftp://x" },
    "a b": { "command": "x" }
  },
  "port": "many", "prot": 1,
  "limits": { "sessions": 0 },
  "redis": "redis://127.0.0.1"
}`;
  assert.throws(() => parseConfig({ file: "m.json", text, env: {} }), (error) => {
    assert.ok(error instanceof Error);
    assert.deepEqual(error.message.split("\n"), [
      "m.json:1:1: secret: Give a secret of 32 characters or more, the same on all nodes: they " +
      "sign with it",
      "m.json:6:22: mcpServers.files.args[1]: Give a string",
      'm.json:7:7: mcpServers.files.evn: Unknown key. Did you mean "env"?',
      'm.json:9:5: Leave out one of the two keys "files"',
      'm.json:10:14: mcpServers.far.url: Give a URL that begins with "https://" or "http://"',
      'm.json:11:5: mcpServers["a b"]: Use letters, digits, -, _ and dots in the name, 64 at most',
      "m.json:13:3: port: Give a whole number, 0 to 65535",
      'm.json:13:19: prot: Unknown key. Did you mean "port"?',
      "m.json:14:15: limits.sessions: Give a whole number, 1 or more",
    ]);
    return true;
  });
});

test("[CMD-1] all broken places of a text are reported, one for each line", () => {
  const text = '\uFEFF{\n  "mcpServers": {}\n  "port": 1,,,\n  path: "/x",\n  "log": "text\n}\n';
  assert.throws(() => parseConfig({ file: "m.json", text, env: {} }), (error) => {
    assert.ok(error instanceof Error);
    assert.deepEqual(error.message.split("\n"), [
      'm.json:3:3: Put a "," or "}" here',
      "m.json:4:3: Put a key in double quotes here",
      "m.json:5:10: Close this text with a double quote, on its line",
    ]);
    return true;
  });
  const commas = `[1${",\n".repeat(1_000)}1${" 1".repeat(100_000)}]`;
  assert.throws(() => parseJson(commas), (error) => {
    assert.ok(error instanceof JsonError);
    assert.equal(error.faults.length, 20);
    return true;
  });
  assert.throws(() => parseConfig({ file: "m.json", text: "\uFFFD\uFFFD{\0}\0", env: {} }), {
    message: "m.json: Save the file as text in UTF-8",
  });
  for (const empty of ["", " \n\t", "\uFEFF"]) {
    assert.throws(() => parseConfig({ file: "m.json", text: empty, env: {} }), {
      message: 'm.json: Write a configuration, such as {"mcpServers": {}}: it is empty',
    });
  }
});

test("servers and the file are bounded", () => {
  assert.equal(complaints({ mcpServers: { a: {}, b: {} }, port: -1, x: 1 }).length, 4);
  const many = Object.fromEntries(
    Array.from({ length: 101 }, (_, at) => [`s${at}`, { command: "x" }]),
  );
  assert.deepEqual(complaints({ mcpServers: many }), [
    "m.json:1:2: mcpServers: Give at most 100 servers",
  ]);
  const text = " ".repeat(1024 * 1024 + 1);
  assert.throws(() => parseConfig({ file: "m.json", text, env: {} }), /Write at most/);
});

const BROKEN: readonly (readonly [string, string])[] = [
  ['{"a" 1}', '1:6: Put a ":" after the key'],
  ["{a: 1}", "1:2: Put a key in double quotes here"],
  ["{'a': 1}", "1:2: Put a key in double quotes here"],
  ["{,}", "1:2: Put a key in double quotes here"],
  ['{\n "a": 1,,\n}', "2:9: Put a key in double quotes here"],
  ['{"a": 1 "b": 2}', '1:9: Put a "," or "}" here'],
  ["[1 2]", '1:4: Put a "," or "]" here'],
  ["[1}", '1:3: Put a "," or "]" here'],
  ['{"a": x}', "1:7: Put a value here"],
  ['{"a": +1}', "1:7: Put a value here"],
  ['{"a": }', "1:7: Put a value here"],
  ["[1, , 2]", "1:5: Put a value here"],
  ['{"a": 01}', '1:8: Put a "," or "}" here'],
  ['{"a": 1.}', "1:7: Put digits where this number ends"],
  ['{"ä": "b\n"}', "1:7: Close this text with a double quote, on its line"],
  ['{"😀": "b', "1:7: Close this text with a double quote, on its line"],
  ['{"a": "C:\\Program Files"}', "1:7: Write each backslash in this string as \\\\"],
  [
    '{"a": "\\u12"}',
    "1:7: Put four hexadecimal digits after \\u, or write each backslash here as \\\\",
  ],
  ['{"a": "\t"}', "1:7: Escape the control character in this text, such as a tab as \\t"],
  ["{\n  // no\n  b: 1}", "3:3: Put a key in double quotes here"],
  ["{} /* no", "1:4: Close this comment with */"],
  ['{"a": 1', '1:8: Put a "}" here: the text ends'],
  ['{"a": [1', '1:9: Put a "]" here: the text ends'],
  ['{"a": [1,', "1:10: Put a value here: the text ends"],
  ['{"a"', '1:5: Put a ":" after the key: the text ends'],
  ["", "1:1: Put a value here: the text ends"],
  ["// nothing", "1:11: Put a value here: the text ends"],
  ["{} x", "1:4: Leave out what follows the value"],
  ["{} {}", "1:4: Leave out what follows the value"],
  ['{"a": 1, "a": 2}', '1:10: Leave out one of the two keys "a"'],
  ['{"a": 1, "\\u0061": 2}', '1:10: Leave out one of the two keys "a"'],
  ['{"__proto__": 1, "__proto__": 2}', '1:18: Leave out one of the two keys "__proto__"'],
  ["[".repeat(100), "1:66: Nest at most 64 levels"],
  ["[".repeat(65) + "1", "1:66: Nest at most 64 levels"],
  ['{"a":'.repeat(100_000), "1:326: Nest at most 64 levels"],
];

for (const [text, message] of BROKEN) {
  test(`parseJson() finds where ${JSON.stringify(text.slice(0, 30))} is broken`, () => {
    assert.throws(() => parseJson(text), (error) => {
      assert.ok(error instanceof JsonError);
      assert.equal(`${error.line}:${error.column}: ${error.message}`, message);
      return true;
    });
    const env = {};
    // An empty file is told apart
    if (text === "") return;
    assert.throws(() => parseConfig({ file: "m.json", text, env }), (error) => {
      assert.ok(error instanceof Error);
      assert.ok(error.message.split("\n").includes(`m.json:${message}`), error.message);
      return true;
    });
  });
}

test("parseJson() reads any JSON as JSON.parse() does", () => {
  const value = { a: [1, -0.5e-3, 'x"\\\n\u2028é😀', true, null, {}, []], "": { b: false } };
  for (const space of [0, 2, "\t"]) {
    const text = JSON.stringify(value, null, space);
    assert.deepEqual(parseJson(text), JSON.parse(text));
  }
  const levels = `${"[".repeat(64)}1${"]".repeat(64)}`;
  assert.deepEqual(parseJson(levels), JSON.parse(levels));
  fc.assert(fc.property(fc.json({ maxDepth: 6 }), (text) => {
    assert.deepEqual(parseJson(text), JSON.parse(text));
  }));
});

test("a configuration may have comments and trailing commas", () => {
  const text = `\uFEFF// One server
    {
      /* Started by
         itself */
      "mcpServers": { "a": { "command": "x", "args": ["// no comment", "/* none */",], }, },
      "port": 1, // The last
    }`;
  const { config } = parseConfig({ file: "m.json", text, env: {} });
  assert.deepEqual(config, {
    mcpServers: { a: { command: "x", args: ["// no comment", "/* none */"] } },
    port: 1,
  });
});

test("a key __proto__ is a key like any other", () => {
  const text =
    '{"__proto__": {"polluted": true}, "constructor": {"prototype": {"polluted": true}}}';
  const value = parseJson(text);
  assert.deepEqual(Object.keys(value ?? {}), ["__proto__", "constructor"]);
  assert.equal(Object.getPrototypeOf(value), Object.prototype);
  assert.ok(!("polluted" in {}));
  const source = { file: "m.json", env: {} };
  assert.throws(
    () => parseConfig({ ...source, text: '{"mcpServers": {}, "__proto__": {"port": 1}}' }),
    { message: /^m\.json:1:20: __proto__: Unknown key/ },
  );
});

test("expand() fills in variables, defaults and plain signs, and tells what came from outside", () => {
  const { value, secrets, problems } = expand({
    a: ["${TOKEN}", "x-${TOKEN}-${NOPE:-d:-e}", "$${TOKEN} $TOKEN", "${EMPTY}|${EMPTY:-full}", 1],
  }, ENV);
  const { TOKEN } = ENV;
  assert.deepEqual(value, { a: [TOKEN, `x-${TOKEN}-d:-e`, "${TOKEN} $TOKEN", "|full", 1] });
  assert.deepEqual(secrets, [TOKEN, TOKEN, ""]);
  assert.deepEqual(problems, []);
});

test("expand() takes no names from a prototype", () => {
  const { problems } = expand({ a: "${constructor}" }, {});
  assert.deepEqual(problems, [
    {
      path: ["a"],
      message: "Set the environment variable constructor",
      variable: "constructor",
    },
  ]);
});

test("what is secret in a configuration is known as such", () => {
  const { secrets } = parse({
    mcpServers: {
      a: { command: "x", args: ["--key", "${TOKEN}"], env: { K: "literal-env" } },
      b: {
        url: "https://x.example/?key=query-key",
        headers: { authorization: "Bearer literal-header" },
      },
    },
    auth: { tokens: [{ id: "ada", token: "literal-token-0123" }] },
    redis: "redis://:redis-pass@127.0.0.1",
    secret: "literal-secret-0123456789abcdef0",
  });
  const known = new Secrets();
  known.add(secrets);
  const text = [
    ENV.TOKEN,
    "literal-env",
    "query-key",
    "literal-header",
    "literal-token-0123",
    "redis-pass",
    "literal-secret-0123456789abcdef0",
  ].join(" ");
  assert.equal(known.redact(text), Array(7).fill("[secret]").join(" "));
});

test("redaction covers a secret in JSON and in URLs, and leaves short words alone", () => {
  const known = new Secrets();
  known.add(['a"b\\c d', "info", 'a"b\\c d and more']);
  assert.equal(known.redact(JSON.stringify({ info: 'a"b\\c d' })), '{"info":"[secret]"}');
  assert.equal(known.redact(encodeURIComponent('a"b\\c d')), "[secret]");
  assert.equal(known.redact('a"b\\c d and more'), "[secret]");
});

test("as many secrets are known as a few configurations have, the newest", () => {
  const known = new Secrets();
  for (let at = 0; at < 12_000; at++) known.add([`secret-${at}-`]);
  const { length } = known.redact("secret-0- secret-11999-");
  assert.equal(length, "secret-0- [secret]".length);
});

const OPEN = ["0.0.0.0", "::", "192.168.0.1", "example.com"];
const token = { tokens: [{ id: "ada", token: "0123456789abcdef" }] };

test("an address that others reach needs to know who calls, or to be told that nobody asks", () => {
  for (const host of OPEN) {
    const config = { mcpServers: {}, host };
    const init = { config, alone: undefined, noAuth: false };
    assert.throws(() => settingsOf(init), /Say who may call, with --token-env NAME or auth/);
    assert.equal(settingsOf({ ...init, noAuth: true }).host, host);
    assert.equal(settingsOf({ ...init, config: { ...config, auth: token } }).host, host);
  }
  const both = { config: { mcpServers: {}, auth: token }, alone: undefined, noAuth: true };
  assert.throws(() => settingsOf(both), /^CliError: Give either --no-auth or authentication/);
});

test("on loopback only loopback names and the public one are answered to", () => {
  const hosts = (config: object) =>
    settingsOf({ config: { mcpServers: {}, ...config }, alone: undefined, noAuth: false })
      .allowedHosts;
  const loopback = ["localhost", "127.0.0.1", "[::1]"];
  assert.deepEqual(hosts({}), loopback);
  assert.deepEqual(hosts({ publicUrl: "https://x.example/a" }), [...loopback, "x.example"]);
  assert.deepEqual(hosts({ allowedHosts: ["y"] }), ["y"]);
  assert.equal(hosts({ host: "0.0.0.0", auth: token }), undefined);
  assert.deepEqual(hosts({ host: "0.0.0.0", auth: token, publicUrl: "https://x.example" }), [
    ...loopback,
    "x.example",
  ]);
});

test("[LONG-9] a server's own time needs the key of the whole file", () => {
  const server = { command: "x", longCalls: { afterMs: 1_000 } };
  const [said] = complaints({ mcpServers: { a: server } });
  assert.match(said ?? "", /mcpServers\.a\.longCalls: Add "longCalls": true/);
  assert.equal(complaints({ mcpServers: { a: server }, longCalls: false }).length, 1);
  const text = (value: unknown) => JSON.stringify(value);
  parseConfig({
    file: "m.json",
    text: text({ mcpServers: { a: server }, longCalls: true }),
    env: {},
  });
  const never = { mcpServers: { a: { command: "x", longCalls: false } } };
  parseConfig({ file: "m.json", text: text(never), env: {} });
});
