/**
 * Connects nodes by Redis channels.
 *
 * @module
 */
import { BoundedSet } from "../internal/bounded_map.ts";
import { randomText } from "../internal/random.ts";
import type { Bus, BusMember } from "../cluster/types.ts";
import type { RedisCommands } from "./clients/commands.ts";
import type { Keys } from "./keys.ts";
import { integer } from "./replies.ts";
import type { Subscriber } from "./clients/subscriber.ts";

/** The most messages that are remembered, so that each counts once. */
const MOST_REMEMBERED = 8_192;
/** The characters at the end of a text that are remembered: more than the tag of a sealed one. */
const TAIL_CHARS = 32;

/** Configures a {@linkcode RedisBus}. */
export interface BusInit {
  readonly commands: RedisCommands;
  readonly subscriber: Subscriber;
  readonly keys: Keys;
}

/**
 * Implements {@linkcode Bus} with one Redis channel for all nodes and one for each node. Each
 * message carries its sender and a number, so that a member ignores its own messages, and a message
 * counts once even when a client sends it again after its connection broke.
 */
export class RedisBus implements Bus {
  readonly #init: BusInit;
  /**
   * Says whether the answer to `PUBLISH` counts all subscribers: in a Redis Cluster it counts those
   * of one server only.
   */
  #counts: boolean | undefined;

  constructor(init: BusInit) {
    this.#init = init;
  }

  join(node: string, listener: (text: string) => void, onMissed = () => {}): BusMember {
    const { commands, subscriber, keys } = this.#init;
    const member = `${node}/${randomText(8)}`;
    const remembered = new BoundedSet<string>(MOST_REMEMBERED);
    let number = 0;
    let joined = true;
    const onMessage = (encoded: string) => {
      const message = decode(encoded);
      if (!joined || message === undefined || message.from === member) return;
      if (!isNew(remembered, message)) return;
      try {
        listener(message.text);
      } catch {
        // A listener's failure is its own: it can't be reported here, and later messages must still
        // arrive.
      }
    };
    const stops = [keys.allNodes, keys.inbox(node)].map((channel) => {
      let first = true;
      const onSubscribed = () => {
        if (!first) onMissed();
        first = false;
      };
      return subscriber.listen(channel, { onMessage, onSubscribed });
    });
    const publish = async (channel: string, text: string) =>
      integer(
        await commands.publish(channel, `${member}\n${++number}\n${text}`),
        "answer",
      );
    return {
      publish: async (text) => {
        if (joined) await publish(keys.allNodes, text);
      },
      send: async (to, text) => {
        if (!joined || to === node) return false;
        if (await publish(keys.inbox(to), text) > 0) return true;
        return !(this.#counts ??= await this.#countsAll());
      },
      leave() {
        joined = false;
        for (const stop of stops) stop();
      },
    };
  }

  async #countsAll(): Promise<boolean> {
    if (this.#init.commands.cluster) return false;
    const info = await this.#init.commands.send("INFO", "cluster");
    return typeof info === "string" && /^cluster_enabled:0\b/m.test(info);
  }
}

interface PublishedMessage {
  readonly from: string;
  readonly number: number;
  readonly text: string;
}

function decode(encoded: string): PublishedMessage | undefined {
  const [, from, digits, text] = /^([^\n]+)\n([1-9][0-9]{0,15})\n([^]*)$/.exec(encoded) ?? [];
  if (from === undefined || text === undefined) return undefined;
  return { from, number: Number(digits), text };
}

/**
 * Tells whether a message arrives for the first time, and remembers it. What is remembered includes the
 * end of its text, which nobody can guess of a sealed one: a program without the key that publishes in
 * the name of a node can't keep others from hearing the node.
 */
function isNew(remembered: Set<string>, { from, number, text }: PublishedMessage): boolean {
  const key = `${from}\n${number}\n${text.slice(-TAIL_CHARS)}`;
  if (remembered.has(key)) return false;
  remembered.add(key);
  return true;
}
