/**
 * Answers requests to servers that don't exist, as an endpoint: who has no token for the path learns
 * nothing about which servers there are.
 *
 * @module
 */
import {
  type Dispatcher,
  ErrorCode,
  Forbidden,
  type McpHandler,
  type McpHandlerOptions,
  Unauthorized,
} from "../../../mod.ts";
import { guardedHandler, joinChallenges, pathOf, quote, type Refusal, refusal } from "../../kit.ts";

/** Options for {@linkcode unknownServer}. */
export interface UnknownServerInit {
  /** The options that all endpoints have. */
  readonly options: McpHandlerOptions;
  /** Returns the name of the server that a path asks for. */
  readonly nameIn: (path: string) => string | undefined;
  /** Returns the metadata that the endpoint of a server would have. */
  readonly resource: (name: string) => McpHandlerOptions["resource"];
}

/**
 * Creates the endpoint of all servers that don't exist. It has the gates and the authentication of the
 * others, and answers with a 404 after that.
 */
export function unknownServer({ options, nameIn, resource }: UnknownServerInit): McpHandler {
  const nameOf = (url: string): string => nameIn(pathOf(url)) ?? "";
  const { store: _store, resource: _resource, authenticate, ...shared } = options;
  return guardedHandler(
    NOBODY,
    {
      ...shared,
      ...authenticate && {
        authenticate: withChallenge(authenticate, ({ url }) => resource(nameOf(url))),
      },
    },
    ({ request }) => refuseServer(nameOf(request.url)),
  );
}

/** Refuses a request to a server that doesn't exist, or that its sender must not know. */
export function refuseServer(name: string): Refusal {
  return refusal({
    status: 404,
    code: ErrorCode.Refused,
    message: `Use the name of a server that is served here: ${quote(name, 64)}`,
    reason: "path",
  });
}

/** Adds the challenge of the metadata that belongs to each request, which the option `resource` can't. */
function withChallenge(
  authenticate: NonNullable<McpHandlerOptions["authenticate"]>,
  resourceOf: (request: Request) => McpHandlerOptions["resource"],
): NonNullable<McpHandlerOptions["authenticate"]> {
  return async (request, context) => {
    try {
      return await authenticate(request, context);
    } catch (error) {
      if (!(error instanceof Unauthorized || error instanceof Forbidden)) throw error;
      const challenge = joinChallenges(resourceOf(request)?.challenge, error.challenge);
      const Refused = error instanceof Forbidden ? Forbidden : Unauthorized;
      throw new Refused(error.message, { challenge });
    }
  };
}

/** The dispatcher, which no request reaches. */
const NOBODY: Dispatcher = {
  route: ({ method, params }) => ({
    method,
    params,
    run() {
      throw new TypeError("Refuse requests to unknown servers");
    },
  }),
};
