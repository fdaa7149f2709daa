/**
 * Loads the API of OpenTelemetry, which the application registers its SDK with.
 *
 * @module
 */
import { installed } from "../internal/installed.ts";

/** The API. */
export const otel: typeof import("@opentelemetry/api") = await installed(
  "@opentelemetry/api",
  import("@opentelemetry/api"),
);
