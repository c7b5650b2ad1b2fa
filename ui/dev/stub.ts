import type { Plugin } from "vite";

export function stub(): Plugin {
  return { name: "zhilu-stub" };
}
