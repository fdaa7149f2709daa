import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Package, serverJson, type ServerJsonOptions } from "../../../src/discovery/mod.ts";
import { assertServerJson } from "./schemas.ts";

const INFO = {
  name: "library",
  version: "1.2.3-beta.1",
  title: "The library",
  websiteUrl: "https://example.com/library",
  icons: [{ src: "https://example.com/i.png", mimeType: "image/png", sizes: ["48x48"] }],
};
const GOOD: ServerJsonOptions = {
  name: "com.example/library",
  description: "Finds and lends books.",
  remotes: [{ url: "https://api.example.com/mcp" }],
};
const NPM: Package = { registryType: "npm", identifier: "@example/library" };

describe("serverJson()", () => {
  test("[FND-3] takes what the server says about itself, and what only the registry asks for", () => {
    const json = serverJson(INFO, GOOD);
    assertServerJson(json);
    assert.deepEqual(json, {
      $schema: "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
      name: "com.example/library",
      version: "1.2.3-beta.1",
      description: "Finds and lends books.",
      title: "The library",
      websiteUrl: "https://example.com/library",
      icons: INFO.icons,
      remotes: [{ type: "streamable-http", url: "https://api.example.com/mcp" }],
    });
  });

  test("[FND-3] fits the registry's schema with everything that it can have", () => {
    const json = serverJson({ name: "com.example/x", version: "2" }, {
      description: "d".repeat(100),
      title: "💡".repeat(100),
      repository: { url: "https://github.com/example/x", source: "github", subfolder: "server" },
      _meta: { "io.modelcontextprotocol.registry/publisher-provided": { tool: "t" } },
      remotes: [{
        type: "sse",
        url: "https://{tenant}.example.com:{port}/sse",
        variables: { tenant: { description: "Yours", isRequired: true }, port: { default: "1" } },
        headers: [{
          name: "Authorization",
          isRequired: true,
          isSecret: true,
          value: "Bearer {token}",
          variables: { token: { isSecret: true, isRequired: true } },
        }],
      }],
      packages: [
        {
          ...NPM,
          runtimeHint: "npx",
          runtimeArguments: [{ type: "named", name: "-y" }],
          packageArguments: [{ type: "positional", valueHint: "folder", format: "filepath" }],
          environmentVariables: [{ name: "API_KEY", isSecret: true, isRequired: true }],
        },
        { registryType: "oci", identifier: "ghcr.io/example/x:2" },
        {
          registryType: "mcpb",
          identifier: "https://github.com/example/x/releases/download/2/x.mcpb",
          fileSha256: "0".repeat(64),
        },
        {
          ...NPM,
          version: "1.0.0",
          transport: { type: "streamable-http", url: "http://localhost" },
        },
      ],
    });
    assertServerJson(json);
    const packages = json.packages as { version?: string; transport: { type: string } }[];
    assert.deepEqual(packages.map(({ version }) => version), ["2", undefined, undefined, "1.0.0"]);
    assert.equal(packages[0]?.transport.type, "stdio");
  });

  const wrong: readonly (readonly [string, Record<string, unknown>, RegExp])[] = [
    ["a name that is no reverse domain", { name: "library" }, /such as "com.example\/library"/],
    ["a name with two slashes", { name: "a/b/c" }, /reverse-DNS/],
    ["a name that is too long", { name: `a/${"b".repeat(199)}` }, /reverse-DNS/],
    ["no description", { description: undefined }, /description of 1 to 100/],
    ["a description that is too long", { description: "d".repeat(101) }, /1 to 100/],
    ["an empty title", { title: "" }, /title of 1 to 100/],
    ["a website that is no URL", { websiteUrl: "example.com" }, /"websiteUrl"/],
    ["a range", { version: "^1.0.0" }, /no range/],
    ["a range of x", { version: "1.x" }, /no range/],
    ["a tag", { version: "latest" }, /no range or tag/],
    ["an empty version", { version: "" }, /Give a version/],
    ["neither endpoint nor package", { remotes: [] }, /"remotes" and "packages"/],
    ["a URL with a password", { remotes: [{ url: "https://a:b@c.example" }] }, /user and password/],
    ["a URL of a file", { remotes: [{ url: "file:///x" }] }, /"remotes.url"/],
    ["a transport that is none", { remotes: [{ url: "https://a.example", type: "ws" }] }, /sse/],
    [
      "a secret with a value",
      {
        remotes: [{
          url: "https://a.example",
          headers: [{ name: "X-Key", isSecret: true, value: "k3y" }],
        }],
      },
      /Leave the value of a secret out.*X-Key/,
    ],
    [
      "a secret variable with a default",
      {
        packages: [{
          ...NPM,
          environmentVariables: [{
            name: "KEY",
            value: "{k}",
            variables: { k: { isSecret: true, default: "k3y" } },
          }],
        }],
      },
      /KEY\.k/,
    ],
    ["icons that are data", { icons: [{ src: "data:image/png;base64,x" }] }, /https: URLs/],
    ["icons over HTTP", { icons: [{ src: "http://a.example/i" }] }, /https: or data:/],
    ["a repository without a service", { repository: { url: "https://a.example" } }, /source/],
    ["a package of nothing", { packages: [{ ...NPM, identifier: "" }] }, /packages.identifier/],
    ["a package of any version", { packages: [{ ...NPM, version: "latest" }] }, /packages.version/],
    ["a bundle without its hash", { packages: [{ ...NPM, registryType: "mcpb" }] }, /fileSha256/],
    [
      "an argument without a form",
      { packages: [{ ...NPM, packageArguments: [{ type: "positional" }] }] },
      /valueHint/,
    ],
  ];
  for (const [what, options, message] of wrong) {
    test(`[FND-3] refuses ${what}`, () => {
      const given: ServerJsonOptions = { ...GOOD, ...options };
      assert.throws(() => serverJson(INFO, given), (error: unknown) => {
        assert.ok(error instanceof TypeError, String(error));
        assert.match(error.message, message);
        assert.doesNotMatch(error.message, /k3y|a:b/);
        return true;
      });
    });
  }
});
