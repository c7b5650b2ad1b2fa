import type { Launch, Method, Objective, Optimizer } from "@/lib/types";

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

/** As launch/__init__.py's LAUNCHERS: what keeps a part of the model in each process cannot split a base in 4 bits, and answers
 * are sampled in one process. */
export const LAUNCHES = (objective: Objective, method: Method): readonly Launch[] => {
  if (isRewarded(objective)) return ["one"];
  return method === "qlora" ? ["one", "ddp"] : ["one", "ddp", "fsdp2", "zero1", "zero2", "zero3", "ray"];
};

export const REWARDS = ["number", "exact", "contains", "json", "brief"] as const;

export const isRewarded = (objective: Objective) => objective === "grpo" || objective === "ppo";
