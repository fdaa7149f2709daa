import process from "node:process";
import { fileURLToPath } from "node:url";
import { createMcpHandler } from "../../mod.ts";
import { http } from "../../src/gateway/upstreams/http.ts";
import { stdio } from "../../src/gateway/upstreams/stdio.ts";
import { childrenOf, runs } from "../gateway/children.ts";
import { type Handler, listen, sdkHandler } from "../gateway/servers.ts";
import { upstreamContract, type UpstreamUnderTest } from "./upstream.ts";
import { contractServer, sdkContractServer } from "./upstream_servers.ts";

const CHILD = fileURLToPath(new URL("../gateway/fixtures/contract_child.ts", import.meta.url));

type Versions = NonNullable<Parameters<typeof http>[0]["versions"]>;

/** An upstream at the end of a real connection. */
async function served(
  handler: Handler,
  versions?: Versions,
  end: () => Promise<void> = async () => {},
): Promise<UpstreamUnderTest> {
  const server = await listen(handler);
  return {
    upstream: http({ url: server.url, versions }),
    cut: () => server.cut(),
    close: async () => {
      // The handler's own timers keep nothing alive, and it may wait for a tool that never ends.
      const alive = setInterval(() => {}, 1000);
      await server.close();
      await end();
      clearInterval(alive);
    },
  };
}

function mooring(versions: Versions): Promise<UpstreamUnderTest> {
  const handler = createMcpHandler(contractServer(), { versions });
  return served(handler, versions, () => handler.close({ graceMs: 0 }));
}

upstreamContract("http() in the 2025 era", () => mooring(["2025-11-25"]));

upstreamContract("http() in the 2026 era", () => mooring(["2026-07-28"]), { sessions: false });

upstreamContract(
  "http() and an SDK server that streams",
  () => served(sdkHandler(sdkContractServer)),
  { refuses: false },
);

upstreamContract("stdio()", () => {
  const { command, args } = runs(CHILD);
  return {
    upstream: stdio({ command, args }),
    cut() {
      for (const line of childrenOf(process.pid).filter((each) => each.includes(CHILD))) {
        process.kill(Number(line.trim().split(/\s+/)[0]), "SIGKILL");
      }
    },
    close() {},
  };
}, { refuses: false });
