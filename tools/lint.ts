/**
 * Rules of this project for `deno lint`.
 *
 * @module
 */

import { fileURLToPath } from "node:url";

const MOST_LINES = 60;
const SRC = fileURLToPath(new URL("../src/", import.meta.url));

const plugin: Deno.lint.Plugin = {
  name: "mooring",
  rules: {
    /** No function in `src/` is longer than a screen. */
    "function-length": {
      create(context) {
        if (!context.filename.startsWith(SRC)) return {};
        const check = (node: Deno.lint.Node): void => {
          const lines = context.sourceCode.getText(node).split("\n").length;
          if (lines <= MOST_LINES) return;
          const message = `${lines} lines, ${MOST_LINES} are the most for a function`;
          context.report({ node, message, hint: "Give one of its steps a name of its own" });
        };
        return {
          FunctionDeclaration: check,
          FunctionExpression: check,
          ArrowFunctionExpression: check,
        };
      },
    },
  },
};

export default plugin;
