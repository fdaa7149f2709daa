/**
 * Defines what a simulation does, all of it data: a seed makes a plan, and a plan can be made smaller.
 *
 * @module
 */
/** What a client does. Times are in milliseconds since the beginning. */
export type Action =
  /** Calls a tool that reports `steps` steps, and perhaps asks. */
  | {
    readonly do: "call";
    readonly at: number;
    readonly steps: number;
    readonly stepMs: number;
    readonly ask: boolean;
    /** Whether the tool may run again when its node has died. */
    readonly again: boolean;
    /** The silence after which the client takes its connection for broken; never if 0. */
    readonly idleMs: number;
    /** The messages after which the client's connection breaks; never if 0. */
    readonly cutAfter: number;
    /** The time after which the client cancels the call; never if 0. */
    readonly cancelMs: number;
    /** Whether the user must approve it, and the client sends the approval twice. */
    readonly approve?: boolean;
    /** Whether the client goes away after the first message, and never asks for the answer. */
    readonly leave?: boolean;
    /** The upstream that has the tool, behind a gateway. */
    readonly upstream?: string;
  }
  /** Opens the session's stream at some node, while the one before is open. */
  | { readonly do: "listen"; readonly at: number }
  /** Signs a user in, redeems the code, and uses refresh tokens one after the other. */
  | {
    readonly do: "sign-in";
    readonly at: number;
    /** The time after which the code is redeemed once more; never if 0. */
    readonly twiceMs: number;
    /** The refresh tokens that are used. */
    readonly refreshes: number;
    /** The time after which each is used once more; never if 0. */
    readonly againMs: number;
    /** Whether a token is used once more in the end, long after it was replaced. */
    readonly reuse: boolean;
  }
  /** Calls a tool of an upstream at which each user has an account, and signs in if asked. */
  | {
    readonly do: "use";
    readonly at: number;
    /** What becomes of the link, besides that its user opens it. */
    readonly link: LinkUse;
  }
  /** Disconnects the account. */
  | { readonly do: "disconnect"; readonly at: number }
  /** Sends the session's id as another user. */
  | { readonly do: "steal"; readonly at: number }
  /** Writes to the session's state, and reads it elsewhere. */
  | { readonly do: "state"; readonly at: number }
  /** Sends the session a notification from some node. */
  | { readonly do: "notify"; readonly at: number };

/**
 * What becomes of a link: another user opens it first, its page is answered at two nodes at once, the answer of
 * the authorization server comes twice or to another user, or it is opened too late.
 */
export type LinkUse = "once" | "stolen" | "twice" | "answered-twice" | "answer-stolen" | "late";

/** What goes wrong. */
export type Fault =
  /** A node dies, and another one starts after a time. */
  | { readonly do: "kill"; readonly at: number; readonly node: number; readonly ms: number }
  /** A node stands still, or a message from or to it takes long. */
  | { readonly do: "stall"; readonly at: number; readonly node: number; readonly ms: number }
  /** A node's clock jumps, back too. */
  | { readonly do: "jump"; readonly at: number; readonly node: number; readonly ms: number }
  /** A node loses its connection for commands. */
  | {
    readonly do: "drop";
    readonly at: number;
    readonly node: number;
    readonly ms: number;
    readonly again: boolean;
    readonly arrived: boolean;
  }
  /** A node loses its connection for subscriptions. */
  | { readonly do: "deaf"; readonly at: number; readonly node: number; readonly ms: number }
  /** The process with the file dies after some of its steps with the file. */
  | { readonly do: "crash"; readonly at: number; readonly steps: number }
  /** The machine with the file loses its power, and what was not on its disk yet. */
  | { readonly do: "power"; readonly at: number }
  /** The disk fails, or is full. */
  | { readonly do: "disk"; readonly at: number; readonly ms: number; readonly full: boolean }
  /** Somebody sends again what nodes have sent each other. */
  | { readonly do: "replay"; readonly at: number }
  /** The process of an upstream dies, and another one starts after a time. */
  | {
    readonly do: "upstream-kill";
    readonly at: number;
    readonly upstream: number;
    readonly ms: number;
  }
  /** The process of an upstream stands still. */
  | {
    readonly do: "upstream-stall";
    readonly at: number;
    readonly upstream: number;
    readonly ms: number;
  }
  /** The connections to an upstream break. */
  | { readonly do: "upstream-cut"; readonly at: number; readonly upstream: number }
  /** The next node that renews tokens dies, some time after the authorization server has got the request. */
  | { readonly do: "kill-renewing"; readonly at: number; readonly ms: number }
  /** The next answer with renewed tokens is lost. */
  | { readonly do: "lose-tokens"; readonly at: number }
  /** The connection for commands of the next node that renews tokens breaks some time after the request. */
  | {
    readonly do: "drop-renewing";
    readonly at: number;
    readonly afterMs: number;
    readonly ms: number;
    readonly again: boolean;
    readonly arrived: boolean;
  }
  /** The authorization server and the upstream stand still. */
  | { readonly do: "provider-stall"; readonly at: number; readonly ms: number }
  /** An authorization server ends what a user has there. */
  | { readonly do: "revoke"; readonly at: number; readonly owner: string }
  /** The server is replaced by a replica that lags. */
  | { readonly do: "failover"; readonly at: number; readonly lagMs: number };

/** An upstream of a gateway. */
export interface UpstreamPlan {
  readonly name: string;
  /** Whether it is reached over HTTP, or is hosted by the node: a server of this package, or of the SDK. */
  readonly kind: "http" | "local" | "sdk";
  /** The only era that the gateway speaks with it; any when left out. */
  readonly era?: "2025" | "2026";
}

/** A client and what it does. */
export interface ClientPlan {
  readonly owner: string;
  /** Whether its calls are tasks, or it signs in; calls of tools when left out. */
  readonly kind?: "tasks" | "sign-in" | "account";
  readonly era: "2025" | "2026";
  readonly actions: readonly Action[];
}

/** A whole simulation. */
export interface Plan {
  readonly seed: number;
  /** What the plan is about, see `themes.ts`. */
  readonly theme?: string;
  readonly nodes: number;
  /** Whether each session is served by one node alone. */
  readonly pinned?: boolean;
  /** The upstreams, if the nodes are gateways. */
  readonly gateway?: readonly UpstreamPlan[];
  /** The time for which an access token is good, in seconds, if users have accounts at an upstream. */
  readonly tokensS?: number;
  /** Whether there is one node, with a SQLite file in place of Redis. */
  readonly file?: boolean;
  /** The calls that may run for a user at all nodes together; the default when left out. */
  readonly share?: number;
  /** The longest time that a packet travels, in milliseconds. */
  readonly delayMs: number;
  readonly clients: readonly ClientPlan[];
  readonly faults: readonly Fault[];
}

/** The time in which most of what is planned begins, in milliseconds. */
export const BUSY_MS = 20_000;

const SIMPLER = [
  ...[["steps", 0], ["ask", false], ["again", false], ["idleMs", 0]] as const,
  ...[["cutAfter", 0], ["cancelMs", 0], ["leave", undefined]] as const,
] as const;

/** Lists plans that are a little smaller, the smallest first. */
export function* smaller(plan: Plan): Iterable<Plan> {
  const { faults, clients } = plan;
  for (const at of faults.keys()) yield { ...plan, faults: without(faults, at) };
  for (const at of clients.keys()) yield { ...plan, clients: without(clients, at) };
  for (const [at, client] of clients.entries()) {
    for (const which of client.actions.keys()) {
      const actions = without(client.actions, which);
      yield { ...plan, clients: clients.with(at, { ...client, actions }) };
    }
    for (const [which, action] of client.actions.entries()) {
      if (action.do !== "call") continue;
      for (const [name, value] of SIMPLER) {
        if (action[name] === value) continue;
        const actions = client.actions.with(which, { ...action, [name]: value });
        yield { ...plan, clients: clients.with(at, { ...client, actions }) };
      }
    }
  }
  if (plan.delayMs > 1) yield { ...plan, delayMs: 1 };
}

function without<T>(list: readonly T[], at: number): T[] {
  return list.toSpliced(at, 1);
}
