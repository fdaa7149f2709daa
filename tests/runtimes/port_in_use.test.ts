import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("./serving.ts", import.meta.url));
const BEFORE = "Deno" in globalThis ? ["run", "-A", "--no-check", "--quiet"] : [];

test("[CMD-4] a program that doesn't catch it ends with the sentence, and no stack of others", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  try {
    const { port } = taken.address() as AddressInfo;
    const child = spawn(process.execPath, [...BEFORE, PROGRAM, String(port)], {
      env: { ...process.env, NO_COLOR: "1" },
      stdio: ["ignore", "ignore", "pipe"],
    });
    let written = "";
    child.stderr.setEncoding("utf8").on("data", (piece: string) => written += piece);
    const [code] = await once(child, "close");
    assert.equal(code, 1, written);
    const sentence = `Port ${port} is in use: choose another with "port", or 0 for any free one`;
    assert.ok(written.includes(sentence), written);
    // Bun shows where an error was made, whatever its stack is
    const frames = written.match(/^\s+at .+$/gm) ?? [];
    assert.ok(frames.length <= ("Bun" in globalThis ? 1 : 0), written);
  } finally {
    taken.close();
  }
});
