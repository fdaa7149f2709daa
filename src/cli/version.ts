/**
 * Reads the version of this package from `deno.json`, the one place that has it.
 *
 * @module
 */
import project from "../../deno.json" with { type: "json" };

/** The package's version. */
export const VERSION: string = project.version;
