import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { start, type StartedProgram } from "../program.ts";
import { hostScenarios } from "./scenarios.ts";

const EXAMPLES = new URL("../../../examples/hosts/", import.meta.url);
const READY_MS = 10_000;
const headers = { "x-api-key": "demo-key" };

/** A reverse proxy, with an example of how to configure it. */
interface Proxy {
  readonly program: string;
  readonly version: string;
  readonly file: string;
  /** Returns the whole configuration, for a folder of its own. */
  whole(example: string): string;
  args(file: string, folder: string): readonly string[];
  /** Ends it and all its processes, without waiting for connections. */
  readonly signal: "SIGTERM" | "SIGKILL";
}

const PROXIES: readonly Proxy[] = [
  {
    program: "nginx",
    version: "-v",
    file: "nginx.conf",
    whole: (example) =>
      `daemon off; worker_processes 1; pid nginx.pid; error_log stderr;
       events {} http { access_log off; client_body_temp_path body; proxy_temp_path proxy;
       fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi; ${example} }`,
    args: (file, folder) => ["-p", folder, "-c", file, "-e", "stderr"],
    signal: "SIGTERM",
  },
  {
    program: "caddy",
    version: "version",
    file: "Caddyfile",
    whole: (example) => `{\n\tadmin off\n\tauto_https off\n}\n${example}`,
    args: (file) => ["run", "--adapter", "caddyfile", "--config", file],
    signal: "SIGKILL",
  },
];

function isInstalled({ program, version }: Proxy): boolean {
  try {
    execFileSync(program, [version], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  assert.ok(typeof address === "object" && address !== null);
  return address.port;
}

/** Starts a proxy in front of an endpoint, and waits until it answers. */
async function startProxy(proxy: Proxy, endpoint: string) {
  const folder = await mkdtemp(join(tmpdir(), "proxy-"));
  // nginx's workers run as another user if it is started by root.
  await chmod(folder, 0o755);
  const port = await freePort();
  const example = (await readFile(new URL(proxy.file, EXAMPLES), "utf8"))
    .replaceAll("127.0.0.1:8000", new URL(endpoint).host)
    .replaceAll(":8080", `:${port}`);
  const file = join(folder, proxy.file);
  await writeFile(file, proxy.whole(example));
  const env = { ...process.env, HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
  const child = spawn(proxy.program, proxy.args(file, folder), {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text: string) => output += text);
  }
  let gone = false;
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  void ended.then(() => gone = true);
  const kill = async (): Promise<void> => {
    if (child.pid !== undefined && !gone) process.kill(child.pid, proxy.signal);
    await ended;
    await rm(folder, { recursive: true, force: true });
  };
  const url = `http://127.0.0.1:${port}/mcp`;
  const deadline = Date.now() + READY_MS;
  for (;;) {
    const response = await fetch(url, { headers }).catch(() => undefined);
    await response?.body?.cancel();
    if (response !== undefined) return { url, kill };
    if (gone || Date.now() > deadline) {
      await kill();
      throw new Error(`${proxy.program} doesn't answer:\n${output}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

for (const proxy of PROXIES) {
  const skip = isInstalled(proxy) ? false : `There is no ${proxy.program}`;
  describe(`examples/hosts/${proxy.file}`, { skip }, () => {
    let program: StartedProgram;
    let front: Awaited<ReturnType<typeof startProxy>>;

    before(async () => {
      program = await start("hosts/fastify.ts");
      front = await startProxy(proxy, program.url);
    });

    after(async () => {
      await front?.kill();
      await program?.kill();
    });

    for (const { name, run } of hostScenarios({ headers })) {
      test(name, () => run({ url: front.url, headers }));
    }

    test("[HOST-5] a host that isn't allowed is refused by the endpoint", async () => {
      const sent = request(front.url, { headers: { ...headers, host: "evil.example" } }).end();
      const [response] = await once(sent, "response");
      response.resume();
      assert.equal(response.statusCode, 403);
    });
  });
}
