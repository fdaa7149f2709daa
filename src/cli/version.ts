/**
 * Defines the version of this package.
 *
 * @module
 */

/** The package's version. */
export const VERSION = "0.1.0";
