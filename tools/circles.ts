/**
 * Circles in a directed graph.
 *
 * @module
 */

/** The nodes of a graph, each with the nodes that it leads to. Nodes without an entry lead nowhere. */
export type Graph = ReadonlyMap<string, readonly string[]>;

/**
 * Finds the strongly connected components that contain a circle: sets of nodes of which each can be
 * reached from each other, and single nodes that lead to themselves.
 *
 * @param graph The graph
 * @returns The components, their nodes in the order of the graph's entries
 */
export function groupsOf(graph: Graph): string[][] {
  // Tarjan's algorithm
  const index = new Map<string, number>();
  const lowest = new Map<string, number>();
  const stack: string[] = [];
  const found: string[][] = [];
  const low = (node: string): number => lowest.get(node) ?? Infinity;
  const visit = (node: string): void => {
    index.set(node, index.size);
    lowest.set(node, index.size - 1);
    stack.push(node);
    for (const next of graph.get(node) ?? []) {
      if (!index.has(next)) {
        visit(next);
        lowest.set(node, Math.min(low(node), low(next)));
      } else if (stack.includes(next)) {
        lowest.set(node, Math.min(low(node), index.get(next) ?? Infinity));
      }
    }
    if (low(node) !== index.get(node)) return;
    const group = new Set(stack.splice(stack.indexOf(node)));
    if (group.size > 1 || graph.get(node)?.includes(node)) {
      found.push([...graph.keys()].filter((one) => group.has(one)));
    }
  };
  for (const node of graph.keys()) {
    if (!index.has(node)) visit(node);
  }
  return found;
}

/**
 * Finds one way round a component of {@linkcode groupsOf}. Of the shortest ways from each node back to
 * itself it is the longest, so that it shows more than two nodes that lead to each other.
 *
 * @param graph The graph
 * @param group The component's nodes
 * @returns The nodes on the way. The last is the first again
 */
export function loopIn(graph: Graph, group: readonly string[]): string[] {
  const inside = new Map(
    group.map((node) => [node, (graph.get(node) ?? []).filter((next) => group.includes(next))]),
  );
  return group.map((node) => shortestLoop(inside, node)).reduce((longest, loop) =>
    loop.length > longest.length ? loop : longest
  );
}

function shortestLoop(graph: Graph, start: string): string[] {
  const cameFrom = new Map<string, string>();
  const queue = [start];
  for (const node of queue) {
    for (const next of graph.get(node) ?? []) {
      if (cameFrom.has(next)) continue;
      cameFrom.set(next, node);
      queue.push(next);
    }
  }
  const loop = [start];
  let node = cameFrom.get(start);
  while (node !== undefined && node !== start) {
    loop.unshift(node);
    node = cameFrom.get(node);
  }
  return [start, ...loop];
}
