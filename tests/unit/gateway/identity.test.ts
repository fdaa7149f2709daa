import assert from "node:assert/strict";
import { test } from "node:test";
import { identityOf } from "../../../src/gateway/upstreams/identity.ts";

test("[GTW-4] equal settings have one identity, different ones have others", () => {
  const token = () => "a";
  const provider = { token: async () => "a" };
  const settings = ["https://a/", [["x", "1"]], token, { ms: 1 }, provider];
  assert.equal(identityOf("http", settings), identityOf("http", [...settings]));
  const others: [string, unknown[]][] = [
    ["stdio", settings],
    ["http", ["https://b/", ...settings.slice(1)]],
    ["http", ["https://a/", [["x", "2"]], ...settings.slice(2)]],
    ["http", ["https://a/", [["x", "1"]], () => "a", ...settings.slice(3)]],
    ["http", ["https://a/", [["x", "1"]], token, { ms: 2 }, provider]],
    ["http", ["https://a/", [["x", "1"]], token, { ms: 1 }, { token: async () => "a" }]],
    ["http", ["https://a/", [["x", "1"]], token, { ms: 1 }, undefined]],
  ];
  const all = [identityOf("http", settings), ...others.map(([kind, own]) => identityOf(kind, own))];
  assert.equal(new Set(all).size, all.length);
});
