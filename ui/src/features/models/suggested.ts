/** Models worth pulling first; the same names on the hub and on ModelScope. Sizes are of the safetensors files. */
import type { Key } from "@/lib/i18n";

export const SUGGESTED: readonly { repo: string; size: string; why: Key }[] = [
  { repo: "Qwen/Qwen3-0.6B", size: "1.5 GB", why: "models.suggest.small" },
  { repo: "Qwen/Qwen3-1.7B", size: "4.1 GB", why: "models.suggest.middle" },
  { repo: "Qwen/Qwen3-4B", size: "8 GB", why: "models.suggest.large" },
];
