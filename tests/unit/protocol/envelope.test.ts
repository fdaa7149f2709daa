import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { envelopeVersion, MetaKey, readEnvelope } from "../../../src/protocol/envelope.ts";
import { modernCode } from "../../../src/protocol/errors.ts";

const meta = {
  [MetaKey.ProtocolVersion]: "2026-07-28",
  [MetaKey.ClientCapabilities]: { sampling: {} },
};

describe("readEnvelope", () => {
  test("[ERA-1] version and capabilities are enough", () => {
    assert.deepEqual(readEnvelope({ _meta: meta }), {
      version: "2026-07-28",
      client: { info: undefined, capabilities: { sampling: {} } },
      logLevel: undefined,
    });
  });

  test("[ERA-1][ERA-6] the client's name and level of log messages are read", () => {
    const info = { name: "c", version: "1" };
    const full = { ...meta, [MetaKey.ClientInfo]: info, [MetaKey.LogLevel]: "error" };
    const envelope = readEnvelope({ _meta: full });
    assert.ok(typeof envelope !== "string");
    assert.deepEqual(envelope.client.info, info);
    assert.equal(envelope.logLevel, "error");
  });

  const wrong = {
    "no parameters": undefined,
    "no _meta": {},
    "a _meta that is no object": { _meta: [] },
    "no version": { _meta: { ...meta, [MetaKey.ProtocolVersion]: undefined } },
    "no capabilities": { _meta: { ...meta, [MetaKey.ClientCapabilities]: undefined } },
    "a nameless client": { _meta: { ...meta, [MetaKey.ClientInfo]: { version: "1" } } },
    "an unknown level": { _meta: { ...meta, [MetaKey.LogLevel]: "loud" } },
  };
  for (const [what, params] of Object.entries(wrong)) {
    test(`[ERA-1] ${what} is refused by name`, () => {
      assert.equal(typeof readEnvelope(params), "string");
    });
  }

  test("[ERA-1] what names a version is a 2026 request, whatever the version", () => {
    assert.equal(envelopeVersion({ _meta: { [MetaKey.ProtocolVersion]: "v9" } }), "v9");
    assert.equal(envelopeVersion({ _meta: {} }), undefined);
    assert.equal(envelopeVersion(undefined), undefined);
  });
});

describe("modernCode", () => {
  test("[ERA-7] codes that the era doesn't have are replaced", () => {
    assert.equal(modernCode(-32002), -32602);
    for (const code of [-32000, -32001, -32003, -32019, -32042, -32023, -32050, -32099]) {
      assert.equal(modernCode(code), -32603);
    }
  });

  test("[ERA-7] all others stay", () => {
    for (const code of [-32700, -32600, -32601, -32602, -32603, -32020, -32021, -32022, 7]) {
      assert.equal(modernCode(code), code);
    }
  });
});
