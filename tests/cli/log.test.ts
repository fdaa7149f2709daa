/**
 * The log, its forms, and what becomes of events.
 *
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { banner } from "../../src/cli/banner.ts";
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
  log("warn", "a", { message: "It\u001b[2J is\nso", word: "x", words: "x y", list: ["a", "b"] });
  assert.deepEqual(lines, ['03:04:05.006 warn  a: It [2J is so word=x words="x y" list=a,b\n']);
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

test("events are logged with their endpoint; those of upstreams once, those of errors by message", () => {
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
  const failed = {
    level: "error",
    event: "error",
    during: "a test",
    message: "Broke",
    cause: "Why",
  };
  assert.deepEqual(entries, [
    { ...refused, endpoint: "all" },
    { level: "info", event: "upstream-opened", upstream: "one", ms: 5 },
    { ...failed, endpoint: "all" },
    { ...refused, endpoint: "one" },
    { ...failed, endpoint: "one" },
  ]);
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
  assert.doesNotMatch(banner({ ...init, tokens: false }), /TOKEN/);
});
