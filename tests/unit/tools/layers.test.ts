import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { type Import, layerProblems, type Module, modulesOf } from "../../../tools/check_layers.ts";

function code(to: string): Import {
  return { to, typeOnly: false, line: 3 };
}

function type(to: string): Import {
  return { to, typeOnly: true, line: 3 };
}

function module(path: string, ...imports: Import[]): Module {
  return { path, imports };
}

const ENTRIES = ["mod.ts", "src/auth/mod.ts", "src/gateway/mod.ts"];
const internal = module("src/internal/a.ts");
const server = module("src/server/a.ts");
const handler = module("src/handler/a.ts");

/** The problems of some modules, with what most of them import. */
function problems(...modules: Module[]): string[] {
  return layerProblems([...modules, internal, server, handler], ENTRIES);
}

describe("layerProblems()", () => {
  test("accepts imports of lower folders and of the same", () => {
    const modules = [
      module("mod.ts", code(server.path), code(handler.path), type("npm:zod@4.0.0")),
      module("src/protocol/a.ts", code("src/protocol/b.ts"), type(internal.path)),
      module("src/protocol/b.ts"),
      module("src/handler/b.ts", code("src/protocol/a.ts")),
      module("src/testing/mod.ts", type(internal.path), code("src/protocol/a.ts")),
      module("src/redis/a.ts", type("node_modules/redis/index.d.ts")),
      module("src/gateway/a.ts", code("mod.ts"), code("src/auth/mod.ts"), code("src/kit.ts")),
      module("src/cli/a.ts", code("src/gateway/a.ts"), code("src/kit.ts")),
      module("src/kit.ts", code(internal.path), type(handler.path)),
    ];
    assert.deepEqual(problems(...modules), []);
  });

  const refused: Record<string, [string, Import]> = {
    "a higher folder": ["src/internal/b.ts", code(server.path)],
    "types of a higher folder": ["src/protocol/b.ts", type(server.path)],
    "server from handler": ["src/handler/b.ts", type(server.path)],
    "one era from the other": ["src/era2026/b.ts", code("src/era2025/a.ts")],
    "types of one era from the other": ["src/era2026/b.ts", type("src/era2025/a.ts")],
    "types of one era from the other, the other way": [
      "src/era2025/b.ts",
      type("src/era2026/a.ts"),
    ],
    "an era from cluster": ["src/cluster/b.ts", type("src/era2025/a.ts")],
    "tasks from server": ["src/server/b.ts", type("src/tasks/a.ts")],
    "tasks from handler": ["src/handler/b.ts", type("src/tasks/a.ts")],
    "tasks from skills": ["src/skills/b.ts", type("src/tasks/a.ts")],
    "skills from the root export": ["mod.ts", type("src/skills/a.ts")],
    "handler from redis": ["src/redis/b.ts", type(handler.path)],
    "server from gateway": ["src/gateway/b.ts", type(server.path)],
    "the lowest folder from gateway": ["src/gateway/b.ts", code(internal.path)],
    "a file beside an entry point from dashboard": ["src/dashboard/b.ts", type("src/auth/a.ts")],
    "gateway from dashboard": ["src/dashboard/b.ts", type("src/gateway/mod.ts")],
    "dashboard from gateway": ["src/gateway/b.ts", type("src/dashboard/a.ts")],
    "the kit from the library": ["src/testing/b.ts", type("src/kit.ts")],
    "the kit from the root export": ["mod.ts", type("src/kit.ts")],
    "the product from the kit": ["src/kit.ts", type("src/gateway/mod.ts")],
    "types of handler from testing": ["src/testing/b.ts", type(handler.path)],
    "tests": ["src/server/b.ts", type("tests/support/clock.ts")],
    "an adapter from the root export": ["mod.ts", code("src/adapters/node.ts")],
    "anything into a folder without a place": ["src/other/b.ts", code(internal.path)],
  };
  for (const [name, [path, edge]] of Object.entries(refused)) {
    test(`refuses ${name}`, () => {
      const found = problems(module(path, edge));
      assert.equal(found.length, 1);
      assert.match(found[0] ?? "", new RegExp(`^${path}`));
    });
  }

  test("refuses a circle at run time, of any size, and accepts a small one of types", () => {
    const b = module("src/server/b.ts", code("src/server/c.ts"));
    assert.deepEqual(problems(b, module("src/server/c.ts", type("src/server/b.ts"))), []);
    const [found, ...more] = problems(b, module("src/server/c.ts", code("src/server/b.ts")));
    assert.match(found ?? "", /^src\/server\/b\.ts → src\/server\/c\.ts → src\/server\/b\.ts/);
    assert.deepEqual(more, []);
    const [self] = problems(module("src/server/b.ts", code("src/server/b.ts")));
    assert.match(self ?? "", /^src\/server\/b\.ts → src\/server\/b\.ts: a circle at run time/);
  });

  describe("circles of types", () => {
    const path = (name: string) => `src/server/${name}.ts`;
    const ring = (...names: string[]) =>
      names.map((name, at) =>
        module(path(name), type(path(names[(at + 1) % names.length] ?? name)))
      );

    test("accepts three files and refuses four, with their names and a way round", () => {
      assert.deepEqual(problems(...ring("b", "c", "d")), []);
      const [found, ...more] = problems(...ring("b", "c", "d", "e"));
      assert.deepEqual(more, []);
      assert.equal(
        found?.slice(found.indexOf("\n")),
        `\n  Files: ${["b", "c", "d", "e"].map(path).join(", ")}` +
          `\n  One way round: ${["b", "c", "d", "e", "b"].map(path).join(" → ")}`,
      );
    });

    test("counts small circles that share a file as one", () => {
      const [b, ...others] = ring("b", "c", "d");
      const shared = module(path("b"), ...b?.imports ?? [], type(path("e")));
      const [found] = problems(shared, ...others, module(path("e"), type(path("b"))));
      assert.match(found ?? "", /^4 files import each other/);
      assert.match(found ?? "", /One way round: (\S+ → ){3}\S+$/);
    });
  });

  describe("an order inside a folder", () => {
    const innerOrder = { gateway: ["types.ts", "upstreams", "view", "."] };
    const inner = (from: string, to: string) =>
      layerProblems([module(`src/gateway/${from}`, type(`src/gateway/${to}`))], [], innerOrder);

    test("accepts imports downwards and inside one sub-folder", () => {
      assert.deepEqual(inner("upstreams/a.ts", "types.ts"), []);
      assert.deepEqual(inner("view/a.ts", "upstreams/b.ts"), []);
      assert.deepEqual(inner("view/a.ts", "view/b.ts"), []);
      assert.deepEqual(inner("gateway.ts", "view/a.ts"), []);
      assert.deepEqual(inner("gateway.ts", "options.ts"), []);
    });

    test("refuses imports upwards, of types too", () => {
      for (
        const [from, to] of [
          ["upstreams/a.ts", "view/a.ts"],
          ["upstreams/a.ts", "options.ts"],
          ["types.ts", "upstreams/a.ts"],
        ] as const
      ) {
        const [found, ...more] = inner(from, to);
        assert.match(found ?? "", /: Import downwards inside gateway\//);
        assert.deepEqual(more, []);
      }
    });

    test("refuses a sub-folder without a place, and leaves other folders alone", () => {
      assert.match(inner("client/a.ts", "types.ts")[0] ?? "", /INNER_ORDER\.gateway .*: client$/);
      const other = module("src/http/a.ts", type("src/http/gates/a.ts"));
      assert.deepEqual(layerProblems([other], [], innerOrder), []);
    });
  });

  test("refuses what ties the root export to a runtime, however far away", () => {
    const root = module("mod.ts", code("src/server/b.ts"));
    for (const to of ["node:fs", "bun", "bun:sqlite", "jsr:@std/async"]) {
      const found = problems(root, module("src/server/b.ts", type(to)));
      assert.match(found[0] ?? "", /^src\/server\/b\.ts:3 imports/);
      assert.deepEqual(problems(module("mod.ts"), module("src/server/b.ts", type(to))), []);
    }
  });

  test("reports a file that can't be read", () => {
    const found = problems({ ...module("src/server/b.ts"), error: "gone" });
    assert.deepEqual(found, ["src/server/b.ts: gone"]);
  });
});

describe("modulesOf()", () => {
  test("reads the output of `deno info`", () => {
    const span = { start: { line: 4 } };
    const [a, b, ...more] = modulesOf(
      {
        modules: [
          {
            specifier: "file:///p/mod.ts",
            dependencies: [
              {
                specifier: "./src/a.ts",
                code: { specifier: "file:///p/src/a.ts", span },
                type: {},
              },
              { specifier: "node:fs", type: { specifier: "node:fs", span } },
            ],
          },
          { specifier: "file:///p/src/a.ts", error: "Module not found" },
          { specifier: "npm:/zod@4.0.0" },
        ],
      },
      "/p",
      (path) => path === "mod.ts",
    );
    assert.deepEqual(a, {
      path: "mod.ts",
      imports: [
        { to: "src/a.ts", typeOnly: false, line: 5 },
        { to: "node:fs", typeOnly: true, line: 5 },
      ],
    });
    assert.match(b?.error ?? "", /^Create the file/);
    assert.deepEqual(more, []);
  });
});
