/**
 * Servers without processes and networks, and a gateway that only tells who is behind it.
 *
 * @module
 */
import type { Gateway, Upstream, ViewOptions } from "../../src/gateway/mod.ts";
import type { Backend } from "../../src/cli/serve/backend.ts";
import type { ServerEntry } from "../../src/cli/config/schema.ts";
import { McpServer } from "../../src/server/server.ts";

/** A {@linkcode Backend} that writes down what is asked of it. */
export interface FakeBackend extends Backend {
  /** What was done to the gateway, in order. */
  readonly done: string[];
}

/** Makes one. Entries whose command or URL has "broken" in it can't be upstreams. */
export function fakeBackend(): FakeBackend {
  const done: string[] = [];
  return {
    done,
    upstream(entry: ServerEntry): Upstream {
      const identity = JSON.stringify(entry);
      if (identity.includes("broken")) throw new TypeError("Give a server that works");
      const open = () => Promise.reject(new Error("Nobody opens a fake"));
      return { kind: "url" in entry ? "http" : "stdio", identity, open };
    },
    gateway({ upstreams = {} }) {
      const servers = new Map(Object.keys(upstreams).map((name) => [name, serverOf(name)]));
      // Only what the command uses is there
      return {
        ...dispatcherOf("everything"),
        names: () => [...servers.keys()],
        only: (name: string) => servers.get(name),
        view({ only }: ViewOptions = {}) {
          return only === undefined ? this : servers.get(only);
        },
        set(name: string) {
          done.push(`set ${name}`);
          servers.set(name, serverOf(name));
          return Promise.resolve();
        },
        remove(name: string) {
          done.push(`remove ${name}`);
          return Promise.resolve(servers.delete(name));
        },
        close() {
          done.push("close");
          return Promise.resolve();
        },
      } as unknown as Gateway;
    },
  };
}

function serverOf(name: string): McpServer {
  const server = new McpServer({ name, version: "1.0.0" });
  server.registerTool("who", {}, () => name);
  return server;
}

function dispatcherOf(name: string): Pick<McpServer, "route"> {
  const server = serverOf(name);
  return { route: (message) => server.route(message) };
}
