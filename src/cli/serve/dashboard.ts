/**
 * Serves the dashboard of `mooring serve --dashboard`, on this machine only.
 *
 * @module
 */
import type { McpHandler } from "../../../mod.ts";
import type { AuditTrail } from "../../audit/mod.ts";
import { createDashboard, type Dashboard, oneTimeLinks } from "../../dashboard/mod.ts";
import type { Config } from "../config/schema.ts";
import { CliError, messageOf } from "../errors.ts";
import { type BoundListener, listen } from "./listen.ts";
import type { Log } from "../log.ts";
import type { Redact } from "../redact.ts";

/** The address of the dashboard: other machines reach it through a tunnel. */
const HOST = "127.0.0.1";
/** The default port. */
const PORT = 8_001;

/** Options for {@linkcode DashboardServer.start}. */
export interface DashboardInit {
  readonly config: NonNullable<Config["dashboard"]>;
  /** The name of this node. */
  readonly node: string;
  /** Whether to listen: of the processes on one machine, one does, and shows the others too. */
  readonly listens: boolean;
  readonly redact: Redact;
  readonly log: Log;
  readonly audit?: AuditTrail | undefined;
}

/** The dashboard of a running server. */
export class DashboardServer {
  readonly #dashboard: Dashboard;
  readonly #listener: BoundListener | undefined;
  readonly #issue: () => string;

  private constructor(
    dashboard: Dashboard,
    listener: BoundListener | undefined,
    issue: () => string,
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
    { config, node, listens, redact, log, audit }: DashboardInit,
  ): Promise<DashboardServer> {
    const settings = config === true ? {} : config;
    const links = oneTimeLinks(settings.token === undefined ? {} : { token: settings.token });
    const failed = (error: unknown): void => {
      log("error", "error", { during: "serving the dashboard", message: messageOf(error) });
    };
    const dashboard = createDashboard({}, {
      authenticate: links,
      node,
      redact,
      onError: failed,
      // The endpoints log and record what operators do to them.
      onAct({ act, operator }) {
        if (act !== "new-link") return;
        log("info", "operator-act", { act, operator });
        audit?.record({ action: act, operator });
      },
    });
    try {
      const listener = listens
        ? await listen({ hostname: HOST, port: settings.port ?? PORT, fetch: dashboard, failed }, {
          port: "--dashboard-port",
        })
        : undefined;
      return new DashboardServer(dashboard, listener, () => links.issue());
    } catch (error) {
      await dashboard.close();
      throw error instanceof CliError ? error : new CliError(messageOf(error));
    }
  }

  /** The URL without a path, if it listens. */
  get url(): string | undefined {
    return this.#listener && `http://${HOST}:${this.#listener.port}/`;
  }

  /** Returns a new link, which works once. */
  link(): string {
    return `${this.url}#${this.#issue()}`;
  }

  /** Adds an endpoint. */
  add(name: string, handler: McpHandler): void {
    this.#dashboard.add(name, handler);
  }

  /** Removes an endpoint. */
  async remove(name: string): Promise<void> {
    await this.#dashboard.remove(name);
  }

  /** Ends every page, and stops listening. */
  async close(): Promise<void> {
    await this.#dashboard.close();
    await this.#listener?.stop();
  }
}
