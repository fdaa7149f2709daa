/**
 * The log, its forms, and what becomes of events.
 *
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { banner } from "../../src/cli/serve/banner.ts";
import { runHere } from "./fake_io.ts";
import { withConfig } from "./program.ts";
import { ALL, eventLogger, makeLog } from "../../src/cli/log.ts";

/** A log that is kept, at a fixed time. */
function kept(init: Partial<Parameters<typeof makeLog>[0]> = {}) {
  const lines: string[] = [];
  const sink = { write: (line: string) => void lines.push(line) };
  const now = () => Date.UTC(2026, 0, 2, 3, 4, 5, 6);
  const redact = (text: string) => text.replaceAll("s3cret", "[secret]");
  const log = makeLog({ format: "json", level: "info", color: false, sink, now, redact, ...init });
  return { lines, log };
}

test("as JSON each event is one line", () => {
  const { lines, log } = kept();
  log("info", "a", { text: "two\nlines", number: 1, none: undefined, list: ["x"] });
  log("debug", "unseen");
  log("error", "b");
  assert.deepEqual(lines, [
    '{"time":"2026-01-02T03:04:05.006Z","level":"info","event":"a","text":"two\\nlines",' +
    '"number":1,"list":["x"]}\n',
    '{"time":"2026-01-02T03:04:05.006Z","level":"error","event":"b"}\n',
  ]);
});

test("as text each event is one line that can't steer a terminal", () => {
  const { lines, log } = kept({ format: "text" });
  log("warn", "a", {
    message: "It\u001b[2J\u202e is\nso",
    word: "x",
    words: "x y",
    list: ["a", "b"],
  });
  assert.deepEqual(lines, [
    '03:04:05.006 warn  a: It\\u001b[2J\\u202e is so word=x words="x y" list=a,b\n',
  ]);
});

test("[CMD-15] as text no field is JSON, and times are rounded", () => {
  const { lines, log } = kept({ format: "text" });
  log("info", "a", {
    ms: 1234.56789,
    short: 0.123456,
    count: 1234567,
    client: { name: "example client", version: "1.0.0", none: undefined },
    subject: { request: 7, deep: { deeper: { deepest: { gone: 1 } } } },
    list: [{ a: 1 }, { b: "x y" }],
    empty: {},
    nothing: null,
    on: true,
  });
  assert.deepEqual(lines, [
    "03:04:05.006 info  a ms=1230 short=0.123 count=1234567 " +
    'client.name="example client" client.version=1.0.0 subject.request=7 ' +
    'list.0.a=1 list.1.b="x y" nothing=null on=true\n',
  ]);
  log("info", "a", Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`k${n}`, n])));
  assert.equal(lines[1]?.match(/ k\d+=/g)?.length, 50);
  // For machines everything stays as it is.
  const json = kept();
  json.log("info", "a", { ms: 1234.56789, client: { name: "x" } });
  assert.match(json.lines[0] ?? "", /"ms":1234\.56789,"client":\{"name":"x"\}/);
});

/** What a terminal might take for a command, in either form of C1. */
const STEERING = "\u0000\u0007\b\r\u001b[2J\u007f\u009b2J\u009d0;x\u009c";

for (const format of ["json", "text"] as const) {
  test(`[CMD-7] nothing that is logged can steer a terminal, as ${format}`, () => {
    const { lines, log } = kept({ format });
    const nested = { [`k${STEERING}`]: [STEERING, { deep: STEERING }] };
    log("info", "a", { message: STEERING, text: STEERING, list: [`a${STEERING}`], nested });
    eventLogger(log, ALL)({ type: "upstream-output", upstream: "one", text: `x${STEERING}y` });
    eventLogger(log, ALL)({
      type: "upstream-failed",
      upstream: "one",
      during: "x",
      error: new Error(`x${STEERING}`, { cause: new Error(STEERING) }),
    });
    assert.equal(lines.length, 3);
    for (const line of lines) {
      // deno-lint-ignore no-control-regex
      assert.match(line, /^[^\u0000-\u001f\u007f-\u009f]+\n$/);
      if (format === "json") JSON.parse(line);
    }
    // As JSON nothing is lost
    if (format === "json") assert.equal(JSON.parse(lines[1] ?? "").text, `x${STEERING}y`);
  });
}

test("[CMD-7] an error of the command can't steer a terminal", async () => {
  const { code, err } = await runHere(["serve", "--stdio", `x`, "--path", `/${STEERING}`]);
  assert.equal(code, 2);
  const named = await runHere(["check", `/nowhere/${STEERING}.json`]);
  assert.equal(named.code, 1);
  const unknown = await runHere([`ser${STEERING}`]);
  for (const text of [err, named.err, unknown.err]) {
    // deno-lint-ignore no-control-regex
    assert.match(text, /^[^\u0000-\u0009\u000b-\u001f\u007f-\u009f]+$/);
  }
  await withConfig(`{"mcpServers": {}, "a${"\\u009b2J\\u001b"}": 1, "port": "x"}`, async (file) => {
    const { err } = await runHere(["check", file]);
    // deno-lint-ignore no-control-regex
    assert.match(err, /^[^\u0000-\u0009\u000b-\u001f\u007f-\u009f]+$/);
    assert.equal(err.trimEnd().split("\n").length, 2);
  });
});

test("colours only where they are wanted", () => {
  const { lines, log } = kept({ format: "text", color: true });
  log("error", "a");
  assert.deepEqual(lines, ["03:04:05.006 \u001b[31merror\u001b[0m a\n"]);
});

test("a secret that would be cut in two is taken out before", () => {
  for (const format of ["json", "text"] as const) {
    const { lines, log } = kept({ format });
    const text = `${"x".repeat(1_997)}s3cret`;
    log("info", "a", { text, message: text });
    assert.doesNotMatch(lines.join(""), /s3c/);
  }
});

test("a long field is cut", () => {
  const { lines, log } = kept();
  log("info", "a", { text: "x".repeat(100_000) });
  assert.ok((lines[0] ?? "").length < 2_200);
});

test("[GTW-8] events are logged with their endpoint, those of errors by message", () => {
  const { lines, log } = kept({ level: "debug" });
  const [all, one] = [eventLogger(log, ALL), eventLogger(log, "one")];
  const error = new Error("Broke", { cause: new Error("Why") });
  for (const told of [all, one]) {
    told({ type: "anonymous" });
    told({ type: "refused", status: 401, reason: "unauthorized" });
    told({ type: "upstream-opened", upstream: "one", ms: 5 });
    told({ type: "error", during: "a test", error });
  }
  const entries = lines.map((line) => {
    const { time: _time, ...rest } = JSON.parse(line);
    return rest;
  });
  const refused = { level: "warn", event: "refused", status: 401, reason: "unauthorized" };
  const opened = { level: "info", event: "upstream-opened", upstream: "one", ms: 5 };
  const failed = {
    level: "error",
    event: "error",
    during: "a test",
    message: "Broke",
    cause: "Why",
  };
  assert.deepEqual(entries, [
    { ...refused, endpoint: "all" },
    { ...opened, endpoint: "all" },
    { ...failed, endpoint: "all" },
    { ...refused, endpoint: "one" },
    { ...opened, endpoint: "one" },
    { ...failed, endpoint: "one" },
  ]);
});

test("[GTW-8] where two endpoints are told the same of upstreams, one logs it", () => {
  const { lines, log } = kept();
  const told = eventLogger(log, "one", { upstreams: false });
  told({ type: "upstream-opened", upstream: "one", ms: 5 });
  told({ type: "refused", status: 401, reason: "unauthorized" });
  assert.deepEqual(lines.map((line) => JSON.parse(line).event), ["refused"]);
});

test("what holds clients up is a warning", () => {
  const { lines, log } = kept();
  const told = eventLogger(log, ALL);
  told({ type: "upstream-slow", upstream: "one", during: "tools/list" });
  told({ type: "upstream-busy", upstream: "one", limit: "programs" });
  assert.deepEqual(lines.map((line) => JSON.parse(line).level), ["warn", "warn"]);
});

test("what is said at the start can be pasted into a client", () => {
  const init = { base: "https://x.example", url: "https://x.example/mcp", names: ["one", "three"] };
  const text = banner({ ...init, tokens: true });
  assert.match(text, /serves 2 servers at https:\/\/x\.example\/mcp\n/);
  assert.match(text, /\n {2}one {4}https:\/\/x\.example\/servers\/one\n/);
  const [json = ""] = /^ {2}\{[^]*?^ {2}\}$/m.exec(text) ?? [];
  assert.deepEqual(JSON.parse(json), {
    mcpServers: {
      mooring: {
        type: "http",
        url: init.url,
        headers: { Authorization: "Bearer YOUR-TOKEN" },
      },
    },
  });
  assert.doesNotMatch(banner({ ...init, tokens: false }), /TOKEN|FAILED/);
  const [failed = ""] = init.names;
  const down = banner({ ...init, tokens: false, failed: new Set([failed]) });
  assert.match(down, /^FAILED 1 server: the log says why/m);
  assert.match(down, new RegExp(`^  ${failed} .*  FAILED$`, "m"));
});
