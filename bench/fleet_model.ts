/**
 * The model of many nodes with one Redis: what they send by kind, and how busy that keeps Redis.
 *
 * @module
 */

/** What one operation costs Redis. */
export interface Cost {
  /** Commands, of clients and not inside scripts. */
  readonly commands: number;
  /** Microseconds of Redis's processor time. */
  readonly us: number;
}

/** What was measured, each for one operation. */
export interface Costs {
  /** One node that does nothing, for a second. */
  readonly idle: Cost;
  /** A call that is answered with JSON. */
  readonly call: Cost;
  /** `initialize` with `notifications/initialized`, and the DELETE of the session. */
  readonly session: Cost;
  /** A notification to a session whose stream is at another node. */
  readonly message: Cost;
  /** A message to all nodes, without its deliveries. */
  readonly broadcast: Cost;
  /** One delivery of a message to one node. */
  readonly delivery: Cost;
}

/** What one node does in a second. */
export interface NodeLoad {
  readonly calls: number;
  readonly sessions: number;
  readonly messages: number;
  /** Messages to all nodes beside those that sessions cause: cancellations, answers, lists. */
  readonly broadcasts: number;
}

/** The load of the tables in the documentation: a node with tools of some milliseconds. */
export const TYPICAL: NodeLoad = { calls: 100, sessions: 0.2, messages: 2, broadcasts: 1 };

/** What a number of nodes asks of Redis in a second. */
export interface Demand {
  readonly nodes: number;
  /** Commands a second by kind; `delivery` counts deliveries. */
  readonly rates: Readonly<Record<keyof Costs, number>>;
  /** Shares of one thread's time, by kind. */
  readonly shares: Readonly<Record<keyof Costs, number>>;
  /** Commands a second, without deliveries. */
  readonly commands: number;
  /** How busy the thread is: 1 is all that it can do. */
  readonly busy: number;
}

/** Calculates what nodes with one load ask of one Redis. */
export function demandOf(nodes: number, costs: Costs, load: NodeLoad = TYPICAL): Demand {
  // A session that ends is published, and so is each stream that another connection resumes.
  const published = nodes * (load.broadcasts + load.sessions);
  const operations: Record<keyof Costs, number> = {
    idle: nodes,
    call: nodes * load.calls,
    session: nodes * load.sessions,
    message: nodes * load.messages,
    broadcast: nodes * load.broadcasts,
    delivery: published * nodes,
  };
  const map = (value: (kind: keyof Costs) => number) => ({
    idle: value("idle"),
    call: value("call"),
    session: value("session"),
    message: value("message"),
    broadcast: value("broadcast"),
    delivery: value("delivery"),
  });
  const rates = map((kind) =>
    kind === "delivery" ? operations.delivery : operations[kind] * costs[kind].commands
  );
  const shares = map((kind) => operations[kind] * costs[kind].us / 1_000_000);
  const sum = (values: Readonly<Record<string, number>>) =>
    Object.values(values).reduce((all, value) => all + value, 0);
  return { nodes, rates, shares, commands: sum(rates) - rates.delivery, busy: sum(shares) };
}

/** The number of nodes at which a Redis is busy to a share, by its costs. */
export function mostNodes(costs: Costs, share: number, load: NodeLoad = TYPICAL): number {
  let nodes = 1;
  while (nodes < 100_000 && demandOf(nodes + 1, costs, load).busy <= share) nodes++;
  return nodes;
}
