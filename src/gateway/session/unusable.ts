/**
 * Defines the errors that a client gets instead of an upstream's answer.
 *
 * @module
 */
import { McpError } from "../../../mod.ts";

/** Reports that an upstream can't be used, after the cause went to `onEvent`. */
export class UnusableError extends McpError {}

/** Reports that an upstream can't be used because a limit of the gateway is reached. */
export class LimitReachedError extends UnusableError {}
