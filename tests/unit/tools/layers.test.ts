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
  return { path, lines: 10, imports };
}

const internal = module("src/internal/a.ts");
const server = module("src/server/a.ts");
const handler = module("src/handler/a.ts");

/** The problems of some modules, with what most of them import. */
function problems(...modules: Module[]): string[] {
  return layerProblems([...modules, internal, server, handler]);
}

describe("layerProblems()", () => {
  test("takes imports of lower folders and of the same", () => {
    const modules = [
      module("mod.ts", code(server.path), code(handler.path), type("npm:zod@4.0.0")),
      module("src/protocol/a.ts", code("src/protocol/b.ts"), type(internal.path)),
      module("src/protocol/b.ts"),
      module("src/handler/b.ts", code("src/protocol/a.ts")),
      module("src/testing/mod.ts", type(handler.path), code("src/protocol/a.ts")),
    ];
    assert.deepEqual(problems(...modules), []);
  });

  const refused: Record<string, [string, Import]> = {
    "a higher folder": ["src/internal/b.ts", code(server.path)],
    "types of a higher folder": ["src/protocol/b.ts", type(server.path)],
    "server from handler": ["src/handler/b.ts", type(server.path)],
    "tasks from server": ["src/server/b.ts", type("src/tasks/a.ts")],
    "tasks from handler": ["src/handler/b.ts", type("src/tasks/a.ts")],
    "tasks from skills": ["src/skills/b.ts", type("src/tasks/a.ts")],
    "skills from the root export": ["mod.ts", type("src/skills/a.ts")],
    "handler from redis": ["src/redis/b.ts", type(handler.path)],
    "server from gateway": ["src/gateway/b.ts", type(server.path)],
    "values of handler from testing": ["src/testing/b.ts", code(handler.path)],
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

  test("refuses a cycle at run time and takes one of types", () => {
    const b = module("src/server/b.ts", code("src/server/c.ts"));
    assert.deepEqual(problems(b, module("src/server/c.ts", type("src/server/b.ts"))), []);
    const [found, ...more] = problems(b, module("src/server/c.ts", code("src/server/b.ts")));
    assert.match(found ?? "", /^src\/server\/b\.ts → src\/server\/c\.ts → src\/server\/b\.ts/);
    assert.deepEqual(more, []);
  });

  test("refuses a source file over 300 lines", () => {
    assert.deepEqual(problems({ ...module("src/server/b.ts"), lines: 300 }), []);
    assert.match(problems({ ...module("src/server/b.ts"), lines: 301 })[0] ?? "", /301 lines/);
  });

  test("refuses what ties the root export to a runtime, however far away", () => {
    const root = module("mod.ts", code("src/server/b.ts"));
    for (const to of ["node:fs", "bun", "bun:sqlite", "jsr:@std/async"]) {
      const found = problems(root, module("src/server/b.ts", type(to)));
      assert.match(found[0] ?? "", /^src\/server\/b\.ts:3 imports/);
      assert.deepEqual(problems(module("mod.ts"), module("src/server/b.ts", type(to))), []);
    }
  });

  test("tells of a file that can't be read", () => {
    const found = problems({ ...module("src/server/b.ts"), error: "gone" });
    assert.deepEqual(found, ["src/server/b.ts: gone"]);
  });
});

describe("modulesOf()", () => {
  test("reads what `deno info` says", () => {
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
      new Map([["mod.ts", "one\ntwo\n"]]),
    );
    assert.deepEqual(a, {
      path: "mod.ts",
      lines: 2,
      imports: [
        { to: "src/a.ts", typeOnly: false, line: 5 },
        { to: "node:fs", typeOnly: true, line: 5 },
      ],
    });
    assert.match(b?.error ?? "", /does not exist/);
    assert.deepEqual(more, []);
  });
});
