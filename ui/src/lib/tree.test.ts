import { describe, expect, it } from "vitest";
import { leafOf, pathTo, siblings, upsert } from "./tree";

// q1 ─ a1 ─ q2 ─ a2        q1' is an edit of q1, a1b a regenerated a1
//    └ a1b
// q1' ─ b1
const nodes = [
  { id: "q1", parent_id: null },
  { id: "a1", parent_id: "q1" },
  { id: "q2", parent_id: "a1" },
  { id: "a2", parent_id: "q2" },
  { id: "a1b", parent_id: "q1" },
  { id: "q1'", parent_id: null },
  { id: "b1", parent_id: "q1'" },
];
const ids = (found: { id: string }[]) => found.map(({ id }) => id);

describe("pathTo", () => {
  it("walks from the root to the head", () => {
    expect(ids(pathTo(nodes, "a2"))).toEqual(["q1", "a1", "q2", "a2"]);
    expect(ids(pathTo(nodes, "a1b"))).toEqual(["q1", "a1b"]);
  });
  it("falls back to the newest leaf", () => {
    expect(ids(pathTo(nodes, null))).toEqual(["q1'", "b1"]);
    expect(ids(pathTo(nodes, "gone"))).toEqual(["q1'", "b1"]);
    expect(pathTo([], null)).toEqual([]);
  });
  it("ends on a parent that is not there or a ring", () => {
    expect(ids(pathTo([{ id: "x", parent_id: "gone" }], "x"))).toEqual(["x"]);
    const ring = [
      { id: "x", parent_id: "y" },
      { id: "y", parent_id: "x" },
    ];
    expect(pathTo(ring, "x")).toHaveLength(2);
  });
});

describe("branches", () => {
  it("finds versions in the order they were made", () => {
    expect(ids(siblings(nodes, { id: "a1", parent_id: "q1" }))).toEqual(["a1", "a1b"]);
    expect(ids(siblings(nodes, { id: "q1", parent_id: null }))).toEqual(["q1", "q1'"]);
  });
  it("follows a branch to its newest leaf", () => {
    expect(leafOf(nodes, "q1")).toBe("a1b");
    expect(leafOf(nodes, "a1")).toBe("a2");
    expect(leafOf(nodes, "b1")).toBe("b1");
  });
  it("replaces or appends", () => {
    expect(upsert(nodes, { id: "a2", parent_id: "q1" })).toHaveLength(nodes.length);
    expect(upsert(nodes, { id: "new", parent_id: "a2" }).at(-1)?.id).toBe("new");
  });
});
