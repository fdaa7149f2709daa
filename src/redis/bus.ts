/**
 * The bus between nodes.
 *
 * @module
 */
import { randomText } from "../internal/random.ts";
import type { Bus, BusMember } from "../cluster/types.ts";
import type { Commands } from "./commands.ts";
import type { Keys } from "./keys.ts";
import { integer } from "./replies.ts";
import type { Subscriber } from "./subscriber.ts";

/** How many senders are remembered. */
const MOST_SENDERS = 4_096;

/** What a {@linkcode RedisBus} is made with. */
export interface BusInit {
  readonly commands: Commands;
  readonly subscriber: Subscriber;
  readonly keys: Keys;
}

/**
 * A {@linkcode Bus} on Redis' channels: one that all nodes hear, and one for each node. Each text carries
 * its sender's name and number, so that nobody hears himself and nothing counts twice that a client sends
 * again when its connection breaks.
 */
export class RedisBus implements Bus {
  readonly #init: BusInit;
  /** Whether Redis tells how many hear a text: in a cluster it counts those of one server alone. */
  #counts: boolean | undefined;

  constructor(init: BusInit) {
    this.#init = init;
  }

  join(node: string, listener: (text: string) => void): BusMember {
    const { commands, subscriber, keys } = this.#init;
    const member = `${node}/${randomText(8)}`;
    const newest = new Map<string, number>();
    let number = 0;
    let here = true;
    const heard = (packed: string) => {
      const letter = unpack(packed);
      if (!here || letter === undefined || letter.from === member) return;
      if (!isNews(newest, letter.from, letter.number)) return;
      try {
        listener(letter.text);
      } catch {
        // A member's own trouble: there is nobody here to tell, and it must hear the rest.
      }
    };
    const stops = [keys.everybody, keys.inbox(node)].map((channel) =>
      subscriber.listen(channel, { heard, restored() {} })
    );
    const publish = async (channel: string, text: string) =>
      integer(
        await commands.send("PUBLISH", channel, `${member}\n${++number}\n${text}`),
        "answer",
      );
    return {
      publish: async (text) => {
        if (here) await publish(keys.everybody, text);
      },
      send: async (to, text) => {
        if (!here || to === node) return false;
        if (await publish(keys.inbox(to), text) > 0) return true;
        return !(this.#counts ??= await this.#countsAll());
      },
      leave() {
        here = false;
        for (const stop of stops) stop();
      },
    };
  }

  async #countsAll(): Promise<boolean> {
    const info = await this.#init.commands.send("INFO", "cluster");
    return typeof info === "string" && /^cluster_enabled:0\b/m.test(info);
  }
}

interface Letter {
  readonly from: string;
  readonly number: number;
  readonly text: string;
}

function unpack(packed: string): Letter | undefined {
  const [, from, digits, text] = /^([^\n]+)\n([1-9][0-9]{0,15})\n([^]*)$/.exec(packed) ?? [];
  if (from === undefined || text === undefined) return undefined;
  return { from, number: Number(digits), text };
}

/** Whether a sender's number is higher than those before; the sender heard of last is remembered longest. */
function isNews(newest: Map<string, number>, from: string, number: number): boolean {
  const last = newest.get(from) ?? 0;
  if (number <= last) return false;
  newest.delete(from);
  newest.set(from, number);
  if (newest.size > MOST_SENDERS) {
    for (const oldest of newest.keys()) {
      newest.delete(oldest);
      break;
    }
  }
  return true;
}
