/**
 * Plugin for `deno lint` that reports functions which are longer than {@linkcode MOST_FUNCTION_LINES}.
 * `tools/check_sizes.ts` loads it: as a rule of the project's own `deno lint` it would be an error.
 *
 * @module
 */

/** Lines of a function, its comments included, above which a warning is printed. */
export const MOST_FUNCTION_LINES = 80;

const plugin: Deno.lint.Plugin = {
  name: "mooring",
  rules: {
    "function-length": {
      create(context) {
        const check = (node: Deno.lint.Node): void => {
          const lines = context.sourceCode.getText(node).split("\n").length;
          if (lines <= MOST_FUNCTION_LINES) return;
          const message = `a function of ${lines} lines, over ${MOST_FUNCTION_LINES}`;
          context.report({ node, message });
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
