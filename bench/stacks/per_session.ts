/**
 * A server object for each session: how both official SDKs keep sessions, and all that is built on
 * them.
 *
 * @module
 */
import type { Stack } from "./types.ts";

/** The server object of one session. */
export interface Connection {
  /** Answers a request of the session. */
  handle(request: Request): Promise<Response>;
  /** Sends a notification on the session's GET stream. */
  notify(): unknown;
}

/** Begins a session. `begun` is to be called with its id as soon as there is one. */
export type Connect = (begun: (session: string) => void) => Promise<Connection>;

/** Keeps sessions as the SDKs' own examples do: a map from ids to transports. */
export function perSession(connect: Connect): Stack {
  const connections = new Map<string, Connection>();
  return {
    async answer(request) {
      const id = request.headers.get("mcp-session-id");
      if (id !== null) {
        return await connections.get(id)?.handle(request) ?? new Response(null, { status: 404 });
      }
      const connection: Connection = await connect((session) => {
        connections.set(session, connection);
      });
      return await connection.handle(request);
    },
    notify: (session) => connections.get(session)?.notify(),
  };
}

/** What is sent by `notify`. */
export const NEWS = {
  method: "notifications/message",
  params: { level: "info", data: "News" },
} as const;
