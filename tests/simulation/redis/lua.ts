/**
 * Translates the Lua of Redis scripts to JavaScript: the scripts of `redisStore` run in the simulation
 * as they are.
 *
 * @module
 */
import { parse } from "luaparse";
import { assign, call, concat, index, lengthOf, less, toNumber, truthy } from "./lua_values.ts";
import { LIBRARY, LuaTable } from "./lua_values.ts";

/** A node of the syntax tree. */
// deno-lint-ignore no-explicit-any -- the fields depend on the kind of node
type Node = any;

/** A translated script. */
export type LuaScript = (
  globals: Readonly<Record<string, unknown>>,
) => readonly unknown[] | undefined;

const HELPERS = { assign, call, concat, index, lengthOf, less, toNumber, truthy, LuaTable };
const BINARY: Readonly<Record<string, (left: string, right: string) => string>> = {
  "+": (a, b) => `(h.toNumber(${a}) + h.toNumber(${b}))`,
  "-": (a, b) => `(h.toNumber(${a}) - h.toNumber(${b}))`,
  "*": (a, b) => `(h.toNumber(${a}) * h.toNumber(${b}))`,
  "/": (a, b) => `(h.toNumber(${a}) / h.toNumber(${b}))`,
  "^": (a, b) => `(h.toNumber(${a}) ** h.toNumber(${b}))`,
  "%": (a, b) => `((a, b) => a - Math.floor(a / b) * b)(h.toNumber(${a}), h.toNumber(${b}))`,
  "..": (a, b) => `h.concat(${a}, ${b})`,
  "==": (a, b) => `(${a} === ${b})`,
  "~=": (a, b) => `(${a} !== ${b})`,
  "<": (a, b) => `h.less(${a}, ${b}, false)`,
  "<=": (a, b) => `h.less(${a}, ${b}, true)`,
  ">": (a, b) => `h.less(${b}, ${a}, false)`,
  ">=": (a, b) => `h.less(${b}, ${a}, true)`,
};

/** The names of one block, each with its name in JavaScript. */
class Scope {
  readonly names = new Map<string, string>();
  readonly #outer: Scope | undefined;

  constructor(outer?: Scope) {
    this.#outer = outer;
  }

  find(name: string): string | undefined {
    return this.names.get(name) ?? this.#outer?.find(name);
  }
}

class Translator {
  #names = 0;

  #declare(name: string, scope: Scope): string {
    const own = `${name}$${++this.#names}`;
    scope.names.set(name, own);
    return own;
  }

  block(body: readonly Node[], scope: Scope): string {
    return body.map((statement) => this.#statement(statement, scope)).join("\n");
  }

  #statement(node: Node, scope: Scope): string {
    switch (node.type) {
      case "LocalStatement": {
        const values = this.#list(node.init, scope);
        const names = node.variables.map(({ name }: Node) => this.#declare(name, scope));
        return `let [${names.join(", ")}] = [${values}];`;
      }
      case "AssignmentStatement": {
        if (node.variables.length === 1) {
          return this.#set(node.variables[0], this.#one(node.init[0], scope), scope);
        }
        const sets = node.variables.map((each: Node, i: number) =>
          this.#set(each, `v[${i}]`, scope)
        );
        return `{ const v = [${this.#list(node.init, scope)}]; ${sets.join(" ")} }`;
      }
      case "CallStatement":
        return `${this.#many(node.expression, scope)};`;
      case "ReturnStatement":
        return `return [${this.#list(node.arguments, scope)}];`;
      case "BreakStatement":
        return "break;";
      case "IfStatement":
        return node.clauses.map((clause: Node, i: number) => {
          const body = `{ ${this.block(clause.body, new Scope(scope))} }`;
          if (clause.type === "ElseClause") return `else ${body}`;
          return `${i > 0 ? "else " : ""}if (${this.#test(clause.condition, scope)}) ${body}`;
        }).join(" ");
      case "WhileStatement":
        return `while (${this.#test(node.condition, scope)}) { ${
          this.block(node.body, new Scope(scope))
        } }`;
      case "ForNumericStatement": {
        const inner = new Scope(scope);
        const [from, to] = [this.#one(node.start, scope), this.#one(node.end, scope)];
        const step = node.step === null ? "1" : this.#one(node.step, scope);
        const name = this.#declare(node.variable.name, inner);
        const body = this.block(node.body, inner);
        return `{ const end = h.toNumber(${to}), step = h.toNumber(${step});
for (let ${name} = h.toNumber(${from}); step > 0 ? ${name} <= end : ${name} >= end; ${name} += step) {
${body} } }`;
      }
      case "ForGenericStatement": {
        const inner = new Scope(scope);
        const next = this.#one(node.iterators[0], scope);
        const names = node.variables.map(({ name }: Node) => this.#declare(name, inner));
        const body = this.block(node.body, inner);
        return `{ const next = ${next}; for (;;) { let [${names.join(", ")}] = h.call(next, []);
if (${names[0]} === undefined) break; ${body} } }`;
      }
      case "FunctionDeclaration": {
        if (node.isLocal) {
          const name = this.#declare(node.identifier.name, scope);
          return `const ${name} = ${this.#function(node, scope)};`;
        }
        return this.#set(node.identifier, this.#function(node, scope), scope);
      }
      default:
        throw new Error(`This statement isn't supported: ${node.type}`);
    }
  }

  #set(target: Node, value: string, scope: Scope): string {
    if (target.type === "Identifier") {
      const name = scope.find(target.name);
      if (name === undefined) throw new Error(`Redis forbids global variables: ${target.name}`);
      return `${name} = ${value};`;
    }
    const key = target.type === "MemberExpression"
      ? JSON.stringify(target.identifier.name)
      : this.#one(target.index, scope);
    return `h.assign(${this.#one(target.base, scope)}, ${key}, ${value});`;
  }

  #function(node: Node, scope: Scope): string {
    const inner = new Scope(scope);
    const names = node.parameters.map((each: Node) =>
      each.type === "VarargLiteral" ? "...rest" : this.#declare(each.name, inner)
    );
    return `(${names.join(", ")}) => { ${this.block(node.body, inner)}\nreturn []; }`;
  }

  /** Translates a list: its last expression may give several values. */
  #list(nodes: readonly Node[], scope: Scope): string {
    return nodes.map((node, i) =>
      i === nodes.length - 1 && isMany(node)
        ? `...${this.#many(node, scope)}`
        : this.#one(node, scope)
    ).join(", ");
  }

  #many(node: Node, scope: Scope): string {
    if (node.type === "VarargLiteral") return "rest";
    const { base } = node;
    if (base.type === "MemberExpression" && base.indexer === ":") {
      const args = this.#list(node.arguments, scope);
      const name = JSON.stringify(base.identifier.name);
      const self = this.#one(base.base, scope);
      return `((self) => h.call(h.index(self, ${name}), [self, ${args}]))(${self})`;
    }
    return `h.call(${this.#one(base, scope)}, [${this.#list(node.arguments, scope)}])`;
  }

  #test(node: Node, scope: Scope): string {
    return `h.truthy(${this.#one(node, scope)})`;
  }

  #one(node: Node, scope: Scope): string {
    switch (node.type) {
      case "Identifier":
        return scope.find(node.name) ?? `g.${node.name}`;
      case "StringLiteral":
        return JSON.stringify(node.value);
      case "NumericLiteral":
      case "BooleanLiteral":
        return String(node.value);
      case "NilLiteral":
        return "undefined";
      case "VarargLiteral":
      case "CallExpression":
        return `${this.#many(node, scope)}[0]`;
      case "MemberExpression":
        return `h.index(${this.#one(node.base, scope)}, ${JSON.stringify(node.identifier.name)})`;
      case "IndexExpression":
        return `h.index(${this.#one(node.base, scope)}, ${this.#one(node.index, scope)})`;
      case "FunctionDeclaration":
        return this.#function(node, scope);
      case "LogicalExpression": {
        const [left, right] = [this.#one(node.left, scope), this.#one(node.right, scope)];
        const [yes, no] = node.operator === "and" ? [right, "v"] : ["v", right];
        return `((v) => h.truthy(v) ? ${yes} : ${no})(${left})`;
      }
      case "UnaryExpression": {
        const value = this.#one(node.argument, scope);
        if (node.operator === "not") return `!h.truthy(${value})`;
        return node.operator === "#" ? `h.lengthOf(${value})` : `(-h.toNumber(${value}))`;
      }
      case "BinaryExpression": {
        const write = BINARY[node.operator];
        if (write === undefined) throw new Error(`Unsupported operator: ${node.operator}`);
        return write(this.#one(node.left, scope), this.#one(node.right, scope));
      }
      case "TableConstructorExpression":
        return this.#table(node.fields, scope);
      default:
        throw new Error(`This expression isn't supported: ${node.type}`);
    }
  }

  #table(fields: readonly Node[], scope: Scope): string {
    const list = fields.filter(({ type }) => type === "TableValue").map(({ value }) => value);
    const sets = fields.filter(({ type }) => type !== "TableValue").map((field) => {
      const key = field.type === "TableKeyString"
        ? JSON.stringify(field.key.name)
        : this.#one(field.key, scope);
      return `t.set(${key}, ${this.#one(field.value, scope)});`;
    });
    const made = `h.LuaTable.of([${this.#list(list, scope)}])`;
    return sets.length === 0 ? made : `((t) => { ${sets.join(" ")} return t; })(${made})`;
  }
}

function isMany({ type }: Node): boolean {
  return type === "CallExpression" || type === "VarargLiteral";
}

/** Translates a script. */
export function translate(source: string): LuaScript {
  const { body } = parse(source, { luaVersion: "5.1", encodingMode: "pseudo-latin1" }) as Node;
  const text = new Translator().block(body, new Scope());
  // A script of this repository, not of a stranger
  const script = new Function("h", "g", `"use strict";\n${text}`);
  return (globals) => script(HELPERS, { ...LIBRARY, ...globals });
}
