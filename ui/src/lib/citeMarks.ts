/** A remark plugin: `[2]` in running text becomes a `cite` element where passage 2 is known; code is left alone. */

interface TreeNode {
  type: string;
  value?: string;
  children?: TreeNode[];
  data?: { hName: string; hProperties: Record<string, string> };
}

export function citeMarks(known: ReadonlySet<number>) {
  const visit = (node: TreeNode): void => {
    if (!node.children) return;
    node.children = node.children.flatMap((child) =>
      child.type === "text" ? split(child.value ?? "", known) : [child],
    );
    node.children.forEach(visit);
  };
  return (tree: unknown) => visit(tree as TreeNode);
}

function split(text: string, known: ReadonlySet<number>): TreeNode[] {
  const out: TreeNode[] = [];
  let at = 0;
  for (const match of text.matchAll(/\s?\[(\d{1,3})\]/g)) {
    const n = Number(match[1]);
    if (!known.has(n)) continue;
    if (match.index > at) out.push({ type: "text", value: text.slice(at, match.index) });
    out.push({ type: "cite", data: { hName: "cite", hProperties: { n: String(n) } }, children: [] });
    at = match.index + match[0].length;
  }
  if (at < text.length || !out.length) out.push({ type: "text", value: text.slice(at) });
  return out;
}
