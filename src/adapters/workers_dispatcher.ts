/**
 * Lets several Durable Objects of one isolate serve the same dispatcher.
 *
 * @module
 */
import { AsyncRequestContext } from "../internal/request_context.ts";
import type { Dispatcher, DispatcherHost } from "../protocol/exchange.ts";

/**
 * Returns a dispatcher for one object. What the given one sends to its hosts reaches this object in its own
 * context, whichever object or request caused it, and nothing keeps an object that is gone in memory.
 */
export function objectDispatcher(dispatcher: Dispatcher): Dispatcher {
  return {
    pinned: dispatcher.pinned,
    restores: dispatcher.restores,
    serverInfo: dispatcher.serverInfo,
    get listChanged() {
      return dispatcher.listChanged;
    },
    get resourceUpdates() {
      return dispatcher.resourceUpdates;
    },
    listChangedIn: dispatcher.listChangedIn?.bind(dispatcher),
    route: dispatcher.route.bind(dispatcher),
    listening: dispatcher.listening?.bind(dispatcher),
    notified: dispatcher.notified?.bind(dispatcher),
    sessionEnded: dispatcher.sessionEnded?.bind(dispatcher),
    attach(host) {
      let detach: (() => void) | undefined = undefined;
      const guarded = guardedHost(host, () => detach?.());
      detach = dispatcher.attach?.(guarded);
      return () => detach?.();
    },
  };
}

/** @param onGone Called when the host is no longer in memory */
function guardedHost(host: DispatcherHost, onGone: () => void): DispatcherHost {
  const context = new AsyncRequestContext();
  const weak = new WeakRef(host);
  const present = (): DispatcherHost | undefined => {
    const found = weak.deref();
    if (found === undefined) onGone();
    return found;
  };
  const run = (task: (host: DispatcherHost) => void) => {
    if (present() === undefined) return;
    context.run(() => {
      const found = present();
      if (found !== undefined) task(found);
    });
  };
  const { clock } = host;
  return {
    clock,
    report: (event) => run(({ report }) => report(event)),
    broadcast: (notification, wants, mayKnow) =>
      run((host) => host.broadcast(notification, wants, mayKnow)),
    resourceUpdated: (uri) => run((host) => host.resourceUpdated?.(uri)),
    notify: (session, notification) => run((host) => host.notify?.(session, notification)),
    closeStream: (session, options) => run((host) => host.closeStream?.(session, options)),
    ask: (session, method, params, signal) => present()?.ask?.(session, method, params, signal),
    openDocument: (name, apply) => {
      const shared = present()?.openDocument?.(name, apply);
      if (shared === undefined) throw new TypeError("Open documents while the object is there");
      return shared;
    },
  };
}
