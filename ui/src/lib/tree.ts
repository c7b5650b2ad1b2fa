/** A conversation is a tree: an edited question or a regenerated answer is a sibling of the one before it. */

export interface Node {
  id: string;
  parent_id: string | null;
}

/** The messages from the root to `head`; a head that is not there (or null) means the newest leaf. */
export function pathTo<N extends Node>(nodes: readonly N[], head: string | null): N[] {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const path: N[] = [];
  const seen = new Set<string>();
  for (let at = (head && byId.get(head)) || nodes.at(-1); at && !seen.has(at.id);) {
    seen.add(at.id);
    path.push(at);
    at = at.parent_id === null ? undefined : byId.get(at.parent_id);
  }
  return path.reverse();
}

/** The versions of a message in the order they were made, itself among them. */
export function siblings<N extends Node>(nodes: readonly N[], node: Node): N[] {
  return nodes.filter((other) => other.parent_id === node.parent_id);
}

/** The newest leaf under a message: where its branch goes on. */
export function leafOf<N extends Node>(nodes: readonly N[], id: string): string {
  for (let leaf = id; ;) {
    const child = nodes.findLast((node) => node.parent_id === leaf);
    if (!child) return leaf;
    leaf = child.id;
  }
}

/** `nodes` with `node` in the place of the one of its id, or at the end. */
export function upsert<N extends Node>(nodes: readonly N[], node: N): N[] {
  return nodes.some((other) => other.id === node.id)
    ? nodes.map((other) => (other.id === node.id ? node : other))
    : [...nodes, node];
}
