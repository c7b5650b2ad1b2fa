import type { Method, Objective, Optimizer } from "@/lib/types";

/** What can be learned from which kind of rows; the first is the usual. As config.py's OBJECTIVES. */
export const OBJECTIVES: Record<string, readonly Objective[]> = {
  chat: ["sft", "grpo", "ppo"],
  text: ["sft"],
  preference: ["dpo", "reward"],
  unpaired: ["kto"],
};

/** GRPO and PPO hold the policy to the base without its adapter, so they train one; a reward is kept as one. */
export const METHODS = (objective: Objective): readonly Method[] =>
  isRewarded(objective) || objective === "reward" ? ["lora", "qlora"] : ["lora", "qlora", "full"];

/** As config.py's OPTIMIZERS. */
export const OPTIMIZERS: readonly Optimizer[] = ["adamw", "lion", "adamw8bit"];

export const REWARDS = ["number", "exact", "contains", "json", "brief"] as const;

export const isRewarded = (objective: Objective) => objective === "grpo" || objective === "ppo";
