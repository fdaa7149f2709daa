/**
 * What the command needs of the library that only a server's runtime has: processes, and its addresses. The
 * rest is in `kit.ts`, which has nothing of `node:`, so that sign-in runs on Workers.
 *
 * @module
 */
export {
  freePort,
  type GroupMember,
  groupMember,
  memberReady,
  onGroupGone,
  ProcessGroup,
  processStarter,
  restartDelayMs,
  STEADY_MS,
} from "./adapters/process_group.ts";
export { bareHostname, endpointUrl } from "./adapters/serve_options.ts";
