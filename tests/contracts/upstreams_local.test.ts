import { local } from "../../src/gateway/upstreams/local.ts";
import { sdk } from "../../src/gateway/upstreams/sdk.ts";
import { upstreamContract } from "./upstream.ts";
import { contractServer, sdkContractServer } from "./upstream_servers.ts";

upstreamContract("local()", () => ({ upstream: local(contractServer()), close() {} }));

upstreamContract("sdk()", () => {
  const servers: ReturnType<typeof sdkContractServer>[] = [];
  return {
    upstream: sdk(() => {
      const server = sdkContractServer();
      servers.push(server);
      return server;
    }),
    cut: async () => {
      await Promise.all(servers.map((server) => server.close()));
    },
    close() {},
  };
  // A tool of the official SDK can't answer with an error: what it throws is a result.
}, { refuses: false });
