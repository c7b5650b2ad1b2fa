/** Every word of the UI, both languages side by side: a key without one of them does not compile. */
import type { Text } from "@/lib/types";
import { chat } from "./chat";
import { common } from "./shell";
import { jobs } from "./jobs";
import { models } from "./models";
import { rag } from "./rag";
import { roadmap } from "./roadmap";
import { serving } from "./serving";
import { settings } from "./settings";

export const strings = {
  ...common,
  ...chat,
  ...rag,
  ...models,
  ...serving,
  ...jobs,
  ...roadmap,
  ...settings,
} satisfies Record<string, Text>;

export type Key = keyof typeof strings;
