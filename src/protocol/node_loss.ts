/**
 * Defines what clients read when the node that worked for them is gone.
 *
 * @module
 */

/** The message of the error for a call or a task whose node died, or was cut off from the store. */
export const NODE_LOST =
  "The server that ran this stopped responding: the tool may have run, in part or to its end. " +
  "Check what it has done before you call it again";
