import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { http } from "../../src/gateway/upstreams/http.ts";
import { stdio } from "../../src/gateway/upstreams/stdio.ts";
import type { Upstream } from "../../src/gateway/types.ts";
import type { JsonObject } from "../../src/protocol/jsonrpc.ts";
import { binary, childrenOf, publishedServer } from "./children.ts";
import { type Answering, Session, textOf } from "./session.ts";

/** What the client answers. Servers that ask for its folders may take them for their own, if they exist. */
const ANSWERS: Readonly<Record<string, JsonObject>> = {
  "roots/list": { roots: [{ uri: "file:///nowhere/that/exists", name: "work" }] },
  "elicitation/create": { action: "accept", content: { name: "Ada" } },
  "sampling/createMessage": {
    role: "assistant",
    content: { type: "text", text: "From the client's model" },
    model: "test",
  },
};
const answer: Answering = ({ method }) => ANSWERS[method] ?? {};

async function opened(upstream: Upstream): Promise<Session> {
  const session = await Session.open(upstream);
  session.recorder.answer = answer;
  return session;
}

/** A port that nothing listens on. */
async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (address === null || typeof address === "string") throw new Error("No port");
  return address.port;
}

/** What server-everything has to do, however it is reached. */
function everything(name: string, upstream: () => Upstream): void {
  describe(name, () => {
    test("[GTW-8] tools, prompts, resources and completion pass", async () => {
      await using session = await opened(upstream());
      const { tools } = await session.request("tools/list") as { tools: { name: string }[] };
      assert.ok(tools.some(({ name }) => name === "echo"));
      assert.equal(textOf(await session.call("echo", { message: "hi" })), "Echo: hi");
      const { isError } = await session.call("get-sum", { a: "no number" });
      assert.equal(isError, true);
      const { prompts } = await session.request("prompts/list") as { prompts: unknown[] };
      assert.ok(prompts.length > 0);
      const { resources } = await session.request("resources/list") as {
        resources: { uri: string }[];
      };
      const [first] = resources;
      assert.ok(first !== undefined);
      const read = await session.request("resources/read", { uri: first.uri });
      assert.ok(Array.isArray(read.contents));
      const image = await session.call("get-tiny-image");
      assert.match(JSON.stringify(image), /"type":"image"/);
    });

    test("[GTW-8] progress passes under the client's token, and cancellation stops the tool", async () => {
      await using session = await opened(upstream());
      const seen: unknown[] = [];
      await session.call(
        "trigger-long-running-operation",
        { duration: 0.3, steps: 3 },
        { progressToken: "mine" },
        { notify: ({ params }) => seen.push([params?.progressToken, params?.progress]) },
      );
      assert.deepEqual(seen, [["mine", 1], ["mine", 2], ["mine", 3]]);
      const stop = new AbortController();
      const long = session.call(
        "trigger-long-running-operation",
        { duration: 60, steps: 600 },
        { progressToken: "mine" },
        { signal: stop.signal, notify: () => stop.abort(new Error("Enough")) },
      );
      await assert.rejects(long, /Enough/);
      assert.equal(textOf(await session.call("echo", { message: "on" })), "Echo: on");
    });

    test("[GTW-8] questions reach the client, and its answers the server", async () => {
      await using session = await opened(upstream());
      // The server asks for the roots by itself, and lists the tools that this allows afterwards.
      const { notifications, questions } = session.recorder;
      const asked = (method: string) => questions.some((each) => each.method === method);
      await session.recorder.until(() => asked("roots/list"), "the question for roots");
      const sampled = await session.call("trigger-sampling-request", { prompt: "Hi" });
      assert.match(textOf(sampled), /From the client's model/);
      const elicited = await session.call("trigger-elicitation-request");
      assert.match(JSON.stringify(elicited), /Ada/);
      assert.ok(asked("elicitation/create"));
      assert.ok(notifications.length > 0);
    });

    test("[GTW-8] log messages and updates of resources pass", async () => {
      await using session = await opened(upstream());
      const { recorder } = session;
      await session.request("logging/setLevel", { level: "debug" });
      const { resources } = await session.request("resources/list") as {
        resources: { uri: string }[];
      };
      const uri = resources[0]?.uri;
      assert.deepEqual(await session.request("resources/subscribe", { uri }), {});
      await session.call("toggle-subscriber-updates");
      await session.call("toggle-simulated-logging");
      const came = (method: string) =>
        recorder.notifications.find((each) => each.method === method);
      await recorder.until(
        () => came("notifications/resources/updated") !== undefined,
        "the update",
      );
      assert.equal(came("notifications/resources/updated")?.params?.uri, uri);
      await recorder.until(() => came("notifications/message") !== undefined, "the log message");
      await session.call("toggle-subscriber-updates");
      await session.call("toggle-simulated-logging");
    });
  });
}

const held = childrenOf(process.pid).length;

everything("server-everything over stdio", () => publishedServer("mcp-server-everything", "stdio"));

test("[GTW-8] server-everything over stdio: changes of the tools are told", async () => {
  await using session = await opened(publishedServer("mcp-server-everything", "stdio"));
  const changed = "notifications/tools/list_changed";
  const came = () => session.recorder.notifications.some(({ method }) => method === changed);
  await session.recorder.until(came, "the change");
});

describe("over HTTP", () => {
  let server: ChildProcess | undefined;
  let url = "";

  before(async () => {
    const port = await freePort();
    url = `http://127.0.0.1:${port}/mcp`;
    const env = { ...process.env, PORT: String(port) };
    const child = spawn(binary("mcp-server-everything"), ["streamableHttp"], {
      env,
      stdio: ["ignore", "ignore", "pipe"],
    });
    server = child;
    await new Promise<void>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", () => reject(new Error("The server ended")));
      child.stderr.on("data", (text) => String(text).includes("listening") && resolve());
    });
  });

  after(async () => {
    const child = server;
    if (child === undefined) return;
    const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.kill("SIGKILL");
    await exited;
  });

  everything("server-everything", () => http({ url }));
});

test("[GTW-8] server-filesystem serves the folder that it is given, and no other", async () => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "mooring-")));
  writeFileSync(join(folder, "note.txt"), "Grüße\n".repeat(1000));
  try {
    await using session = await opened(publishedServer("mcp-server-filesystem", folder));
    const path = join(folder, "note.txt");
    const result = await session.call("read_text_file", { path });
    assert.equal(textOf(result), "Grüße\n".repeat(1000));
    const { isError } = await session.call("read_text_file", { path: "/etc/hostname" });
    assert.equal(isError, true);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("[GTW-8] server-memory keeps what it is told in the file that its environment names", async () => {
  const folder = mkdtempSync(join(tmpdir(), "mooring-"));
  const upstream = stdio({
    command: binary("mcp-server-memory"),
    env: { MEMORY_FILE_PATH: join(folder, "memory.jsonl") },
  });
  try {
    const entities = [{ name: "Ada", entityType: "person", observations: ["counts"] }];
    const first = await opened(upstream);
    await first.call("create_entities", { entities });
    await first.session.close();
    await using second = await opened(upstream);
    assert.match(textOf(await second.call("read_graph")), /Ada/);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("[GTW-7] no process is left", async () => {
  const end = Date.now() + 5000;
  while (childrenOf(process.pid).length > held && Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  // Those of other files that run in the same process end, too.
  assert.ok(childrenOf(process.pid).length <= held);
});
