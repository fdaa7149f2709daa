/**
 * Lists single faults in the code, each of which breaks one requirement, and the tests that must notice.
 *
 * The text to find is short and in its file exactly once. A change that no test could notice, because
 * the code does the same with it, has no place here.
 *
 * @module
 */
import { AUTH } from "./mutations/auth.ts";
import { CALLS } from "./mutations/calls.ts";
import { CLIENT_FILES } from "./mutations/client_files.ts";
import { CLUSTER } from "./mutations/cluster.ts";
import { DISCOVERY } from "./mutations/discovery.ts";
import { DASHBOARD } from "./mutations/dashboard.ts";
import { ERAS } from "./mutations/eras.ts";
import { ACCOUNTS } from "./mutations/accounts.ts";
import { GATEWAY } from "./mutations/gateway.ts";
import { GATES } from "./mutations/gates.ts";
import { HOST } from "./mutations/host.ts";
import { LOCKDOWN } from "./mutations/lockdown.ts";
import { SERVER } from "./mutations/server.ts";
import { SESSIONS } from "./mutations/sessions.ts";
import { SIGN_IN } from "./mutations/signin.ts";
import { STREAMS } from "./mutations/streams.ts";
import { WORKERS } from "./mutations/workers.ts";
import { TELEMETRY } from "./mutations/telemetry.ts";

/** A single fault. */
export interface Mutation {
  /** The requirement that it breaks. */
  readonly id: string;
  /** The file that it is in, from the project's root. */
  readonly file: string;
  /** A text that is in the file once. */
  readonly find: string;
  /** The text that takes its place. */
  readonly replace: string;
  /** The test files and folders of which one test must notice it. */
  readonly tests: readonly string[];
}

/** The faults of one file, each the requirement that it breaks, the text to find and its replacement. */
export interface FileFaults {
  /** Test files and folders, from `tests/`, the quickest first. */
  readonly tests: readonly string[];
  readonly faults: readonly (readonly [id: string, find: string, replace: string])[];
}

/** Faults by the path of their file in `src/`. */
export type FaultsByFile = Readonly<Record<string, FileFaults>>;

const ROOMS: readonly FaultsByFile[] = [
  GATES,
  AUTH,
  DISCOVERY,
  STREAMS,
  WORKERS,
  CALLS,
  SESSIONS,
  CLUSTER,
  ERAS,
  SERVER,
  SIGN_IN,
  ACCOUNTS,
  GATEWAY,
  LOCKDOWN,
  TELEMETRY,
  HOST,
  DASHBOARD,
  CLIENT_FILES,
];

/** All faults, in the order of the rooms. */
export const MUTATIONS: readonly Mutation[] = ROOMS.flatMap((room) =>
  Object.entries(room).flatMap(([file, { tests, faults }]) =>
    faults.map(([id, find, replace]) => ({
      id,
      file: `src/${file}`,
      find,
      replace,
      tests: tests.map((path) => `tests/${path}`),
    }))
  )
);
