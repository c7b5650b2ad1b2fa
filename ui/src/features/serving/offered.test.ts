import { describe, expect, it } from "vitest";
import type { Model } from "@/lib/types";
import { offeredOf, type Served } from "./offered";

const stored = (name: string, change: Partial<Model> = {}) =>
  ({ name, state: "ready", engine: "zhilu", supported: true, ...change }) as Model;

describe("offeredOf", () => {
  it("offers what the store can serve, adapters with their model, and what lives behind a URL", () => {
    const served: Served[] = [
      { id: "nano", owned_by: "zhilu" },
      { id: "minilm", owned_by: "zhilu" },
      { id: "tuned", owned_by: "zhilu", parent: "nano" },
      { id: "far", owned_by: "openai", state: "failed" },
    ];
    expect(offeredOf([stored("nano"), stored("broken", { supported: false })], served)).toEqual([
      { name: "nano", state: "ready", engine: "zhilu", parent: null },
      { name: "tuned", state: "ready", engine: "zhilu", parent: "nano" },
      { name: "far", state: "failed", engine: "openai", parent: null },
    ]);
  });

  it("gives an adapter the state of its model", () => {
    const [, adapter] = offeredOf(
      [stored("nano", { state: "stopped", engine: null })],
      [{ id: "tuned", owned_by: "zhilu", parent: "nano" }],
    );
    expect(adapter).toMatchObject({ state: "stopped", engine: null });
  });

  it("offers no model that the store holds but cannot serve, though it is listed", () => {
    expect(offeredOf([stored("x", { supported: false })], [{ id: "x", owned_by: "other" }])).toEqual([]);
  });
});
