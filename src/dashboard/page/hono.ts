/**
 * Loads hono, which routes and writes the page.
 *
 * @module
 */
import { installed } from "../../kit.ts";

/** The package. */
export const hono: typeof import("hono") = await installed("hono", import("hono"));

/** Writes HTML and escapes what is put into it. */
export const { html }: typeof import("hono/html") = await installed("hono", import("hono/html"));
