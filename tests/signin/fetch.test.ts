import assert from "node:assert/strict";
import { createServer, request as httpRequest, type RequestListener } from "node:http";
import { describe, test } from "node:test";
import { isPublicAddress, networkOf } from "../../src/signin/fetch/addresses.ts";
import { FetchError } from "../../src/signin/fetch/errors.ts";
import {
  type Connect,
  publicFetch,
  type PublicFetchOptions,
} from "../../src/signin/fetch/public_fetch.ts";
import { listen } from "../auth/listen.ts";
import { FakeClock } from "../support/clock.ts";

const PUBLIC = "93.184.215.14";

function options(more: Partial<PublicFetchOptions> = {}): PublicFetchOptions {
  const clock = new FakeClock();
  return { maxBytes: 1_000, timeoutMs: 5_000, allowInsecure: false, clock, ...more };
}

/** Starts a server, and connects to it whatever address is asked for, which it notes. */
async function served(answer: RequestListener) {
  const server = createServer(answer);
  const { origin, close } = await listen(server);
  const connections: { host: unknown; servername: unknown; headers: unknown }[] = [];
  const connect: Connect = ({ host, servername, headers, path }, onResponse) => {
    connections.push({ host, servername, headers });
    const port = new URL(origin).port;
    return httpRequest({ host: "127.0.0.1", port, headers, path, agent: false }, onResponse);
  };
  return { connect, connections, origin, close };
}

function fails(reason: string, work: Promise<unknown>): Promise<void> {
  return assert.rejects(work, (error) => error instanceof FetchError && error.reason === reason);
}

describe("[FRONT-51] addresses", () => {
  test("[FRONT-51] public ones, and all others in every spelling", () => {
    for (const address of [PUBLIC, "8.8.8.8", "2606:4700::1111", "2a00:1450:4001::5"]) {
      assert.equal(isPublicAddress(address), true, address);
    }
    const inner = [
      ...["127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0.0.0.0", "0"],
      ...[
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "168.63.129.16",
      ],
      ...["192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1"],
      ...["240.0.0.1", "255.255.255.255", "192.88.99.1", "::", "::1", "0:0:0:0:0:0:0:1"],
      ...["::ffff:10.0.0.1", "::ffff:a00:1", "::ffff:8.8.8.8", "::127.0.0.1", "::7f00:1"],
      ...["64:ff9b::a00:1", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1"],
      ...["2001:0:7f00:1::", "2001:db8::1", "3fff::1", "fe80::1", "fe80::1%eth0", "fec0::1"],
      ...["fc00::1", "fd00:ec2::254", "ff02::1", "100::1", "5f00::1", "", "localhost"],
    ];
    for (const address of inner) assert.equal(isPublicAddress(address), false, address);
  });

  test("[FRONT-53] a sender by IPv6 is its network", () => {
    assert.equal(networkOf("2001:db8:1:2:3::4"), networkOf("2001:db8:1:2:ffff::1"));
    assert.notEqual(networkOf("2001:db8:1:2::1"), networkOf("2001:db8:1:3::1"));
    assert.equal(networkOf("::ffff:203.0.113.9"), "203.0.113.9");
    assert.equal(networkOf("a sender"), "a sender");
  });
});

describe("[FRONT-51] documents that strangers name", () => {
  test("[FRONT-51] URLs to inner addresses are refused before anything is asked", async () => {
    const asked: string[] = [];
    const connect: Connect = () => {
      throw new Error("Connected");
    };
    for (const allowInsecure of [false, true]) {
      const resolve = async (name: string) => (asked.push(name), ["127.0.0.1", "::1"]);
      const read = publicFetch(options({ allowInsecure, resolve, connect }));
      const urls = [
        ...["https://127.0.0.1/c", "https://2130706433/c", "https://0x7f.1/c", "https://0177.1/c"],
        ...["https://[::1]/c", "https://[::ffff:127.0.0.1]/c", "https://[64:ff9b::a00:1]/c"],
        ...["https://localhost/c", "https://a.localhost/c", "https://metadata.google.internal/c"],
        ...["https://printer.local./c", "http://10.0.0.1/c", "http://inner.example/c"],
        ...["https://user@example.com/c", "ftp://example.com/c", "file:///etc/passwd"],
      ];
      for (const url of urls) await fails("refused", read(new URL(url)));
      assert.deepEqual(asked, []);
      await fails("refused", read(new URL("https://rebound.example/c")));
      asked.length = 0;
    }
  });

  test("[FRONT-51] a name bound anew changes nothing: the checked address is connected to", async () => {
    const { connect, connections, close } = await served((_, outgoing) => outgoing.end("{}"));
    try {
      let lookups = 0;
      const resolve = async () => ++lookups === 1 ? ["10.0.0.1", PUBLIC] : ["127.0.0.1"];
      const read = publicFetch(options({ resolve, connect }));
      const response = await read(new URL("https://editor.example:8443/client.json?x=1"));
      assert.equal(await response.text(), "{}");
      const [first] = connections;
      assert.equal(first?.host, PUBLIC);
      assert.equal(first?.servername, "editor.example");
      assert.equal((first?.headers as { host: string }).host, "editor.example:8443");
      await fails("refused", read(new URL("https://editor.example/client.json")));
      assert.equal(lookups, 2);
      assert.equal(connections.length, 1);
    } finally {
      await close();
    }
  });

  test("[DPOP-12] the nonce of an answer is read, and its challenge", async () => {
    const said = { "dpop-nonce": "n1", "www-authenticate": "DPoP", "x-other": "1" };
    const { connect, close } = await served((_, out) => out.writeHead(401, said).end("{}"));
    try {
      const read = publicFetch(options({ resolve: async () => [PUBLIC], connect }));
      const { status, headers } = await read(new URL("https://editor.example/token"));
      assert.deepEqual([status, headers.get("dpop-nonce")], [401, "n1"]);
      assert.equal(headers.get("www-authenticate"), "DPoP");
      assert.equal(headers.get("x-other"), null);
    } finally {
      await close();
    }
  });

  test("[FRONT-51] redirects are answers, too large and slow ones fail", async () => {
    const clock = new FakeClock();
    const { connect, connections, close } = await served(({ url }, outgoing) => {
      if (url === "/moved") return outgoing.writeHead(302, { location: "/inner" }).end();
      if (url === "/large") return outgoing.end("x".repeat(1_001));
      outgoing.write("{");
    });
    try {
      const read = publicFetch(options({ clock, connect, resolve: async () => [PUBLIC] }));
      assert.equal((await read(new URL("https://a.example/moved"))).status, 302);
      await fails("invalid", read(new URL("https://a.example/large")));
      assert.equal(connections.length, 2);
      const slow = [1, 2].map(() => fails("unavailable", read(new URL("https://a.example/slow"))));
      await fails("busy", read(new URL("https://a.example/slow")));
      while (clock.pending < 2) await new Promise((resolve) => setTimeout(resolve, 1));
      await clock.advance(5_000);
      await Promise.all(slow);
      const controller = new AbortController();
      const stopped = read(new URL("https://a.example/slow"), { signal: controller.signal });
      controller.abort(new Error("Stopped"));
      await assert.rejects(stopped, { message: "Stopped" });
      assert.equal(clock.pending, 0);
    } finally {
      await close();
    }
  });

  test("[FRONT-51] http: on loopback with allowInsecure, and for names of loopback alone", async () => {
    const { origin, close } = await served((_, outgoing) => outgoing.end("{}"));
    try {
      const read = publicFetch(options({ allowInsecure: true }));
      assert.equal((await read(new URL(`${origin}/c`))).status, 200);
      const elsewhere = publicFetch(
        options({ allowInsecure: true, resolve: async () => [PUBLIC] }),
      );
      const url = new URL(`${origin.replace("127.0.0.1", "localhost")}/c`);
      await fails("refused", elsewhere(url));
      await fails("refused", publicFetch(options())(new URL(`${origin}/c`)));
    } finally {
      await close();
    }
  });
});
