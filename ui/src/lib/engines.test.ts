import { expect, it } from "vitest";
import { usableFirst } from "./engines";
import type { Engine } from "./types";

const engine = (name: string, change: Partial<Engine>) =>
  ({ name, installed: false, is_process: true, status: "alive", ...change }) as Engine;

it("puts what can be used first and what is old last", () => {
  const given = [
    engine("old", { status: "legacy" }),
    engine("gpu", { status: "needs_gpu" }),
    engine("url", { installed: true, is_process: false }),
    engine("missing", {}),
    engine("ours", { installed: true }),
  ];
  expect(usableFirst(given).map(({ name }) => name)).toEqual(["ours", "url", "missing", "gpu", "old"]);
});
