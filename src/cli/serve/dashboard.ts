/**
 * Serves the dashboard of `mooring serve --dashboard`, on this machine only.
 *
 * @module
 */
import type { McpHandler, OperatorActKind } from "../../../mod.ts";
import type { AuditTrail } from "../../audit/mod.ts";
import {
  createDashboard,
  type Dashboard,
  type DashboardOptions,
  oneTimeLinks,
  type OperatorSignIn,
  operatorTokens,
} from "../../dashboard/mod.ts";
import type { Config } from "../config/schema.ts";
import { CliError, messageOf } from "../errors.ts";
import { type BoundListener, listen } from "./listen.ts";
import type { Log } from "../log.ts";
import { proxiedOperator } from "./proxied_operator.ts";
import type { Redact } from "../redact.ts";

/** The address of the dashboard: other machines reach it through a tunnel. */
const HOST = "127.0.0.1";
/** The default port. */
const PORT = 8_001;

/** Acts on what belongs to no endpoint, which the dashboard alone can log and record. */
const OWN_ACTS: ReadonlySet<OperatorActKind> = new Set([
  ...["end-grant", "end-grants", "disconnect-account"] as const,
]);

/** Options for {@linkcode DashboardServer.start}. */
export interface DashboardInit {
  readonly config: NonNullable<Config["dashboard"]>;
  /** The operators by name, each with a token. Without any, links that work once are printed. */
  readonly operators: Config["operators"];
  /** The name of this node. */
  readonly node: string;
  /**
   * Whether to listen: of the processes on one machine, one does, and shows the others too.
   *
   * @default {true}
   */
  readonly listens?: boolean;
  readonly redact: Redact;
  readonly log: Log;
  readonly audit?: AuditTrail | undefined;
  /** The grants of sign-in, if users sign in. */
  readonly grants?: DashboardOptions["grants"] | undefined;
  /** The accounts of users at servers, if users sign in. */
  readonly accounts?: DashboardOptions["accounts"] | undefined;
}

/** The dashboard of a running server. */
export class DashboardServer {
  readonly #dashboard: Dashboard;
  readonly #listener: BoundListener | undefined;
  readonly #issue: (() => string) | undefined;

  private constructor(
    dashboard: Dashboard,
    listener: BoundListener | undefined,
    issue?: () => string,
  ) {
    this.#dashboard = dashboard;
    this.#listener = listener;
    this.#issue = issue;
  }

  /**
   * Starts listening.
   *
   * @throws {CliError} If it can't listen on the port
   */
  static async start(
    { config, operators, node, listens = true, redact, log, audit, grants, accounts }:
      DashboardInit,
  ): Promise<DashboardServer> {
    const settings = config === true ? {} : config;
    const { port, token, proxy, ...options } = settings;
    const links = operators === undefined
      ? oneTimeLinks(token === undefined ? {} : { token })
      : undefined;
    const way = links ?? operatorTokens({ operators: operators ?? {} });
    const failed = (error: unknown): void => {
      log("error", "error", { during: "serving the dashboard", message: messageOf(error) });
    };
    const dashboard = createDashboard({}, {
      ...options,
      authenticate: proxy === undefined ? way : behindProxy(way, proxiedOperator(proxy)),
      node,
      redact,
      onError: failed,
      // The endpoints log and record what operators do to them.
      onAct({ act, operator, target, outcome, count, message }) {
        if (act === "new-link") {
          log("info", "operator-act", { act, operator });
          audit?.record({ action: act, operator });
        } else if (OWN_ACTS.has(act)) {
          log("info", "operator-act", { act, operator, target, outcome, count, message });
          audit?.record({ action: act, operator, detail: { target, outcome, count, message } });
        }
      },
      onRefused({ address }) {
        log("warn", "operator-refused", { message: "A link or token isn't valid", address });
        audit?.note({ act: "operator-refused", detail: { address }, byStrangers: true });
      },
      ...grants !== undefined && { grants },
      ...accounts !== undefined && { accounts },
    });
    try {
      const listener = listens
        ? await listen({ hostname: HOST, port: port ?? PORT, fetch: dashboard, failed }, {
          port: "--dashboard-port",
        })
        : undefined;
      return new DashboardServer(dashboard, listener, links && (() => links.issue()));
    } catch (error) {
      await dashboard.close();
      throw error instanceof CliError ? error : new CliError(messageOf(error));
    }
  }

  /** The URL without a path, where it listens. */
  get url(): string {
    return `http://${HOST}:${this.#listener?.port ?? 0}/`;
  }

  /** Returns a new link, which works once; `undefined` where operators have tokens. */
  link(): string | undefined {
    return this.#issue && `${this.url}#${this.#issue()}`;
  }

  /** Adds an endpoint. */
  add(name: string, handler: McpHandler): void {
    this.#dashboard.add(name, handler);
  }

  /** Removes an endpoint. */
  async remove(name: string): Promise<void> {
    await this.#dashboard.remove(name);
  }

  /** Ends the sessions of a user with a client at an endpoint. */
  async endSessionsOf(...given: Parameters<Dashboard["endSessionsOf"]>): Promise<void> {
    await this.#dashboard.endSessionsOf(...given);
  }

  /** Ends every page, and stops listening. */
  async close(): Promise<void> {
    await this.#dashboard.close();
    await this.#listener?.stop();
  }
}

/** Lets operators in whom a proxy names, and others the given way. */
function behindProxy<T extends OperatorSignIn>(
  way: T,
  named: ReturnType<typeof proxiedOperator>,
): T {
  return {
    ...way,
    authenticate: (request, context) => named(request, context) ?? way.authenticate(request),
  };
}
