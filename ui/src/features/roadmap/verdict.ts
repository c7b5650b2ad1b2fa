/** What a verdict means for the person: words, sign, and whether the task is behind one. */
import type { Key } from "@/lib/i18n";
import type { RoadmapTask, TaskStatus } from "@/lib/types";

type Judged = Pick<RoadmapTask, "status" | "because">;

/** Passed, or out of a person's hands: the machine forbids it. */
export const isBehind = ({ status, because }: Judged): boolean =>
  status === "passed" || (status === "cannot_run_here" && (because ?? "machine") === "machine");

/** "Cannot run here" says why where it is not the machine: something is not installed, or set otherwise, or it missed. */
export function wordOf({ status, because }: Judged): Key {
  return because && because !== "machine" ? `roadmap.because.${because}` : `roadmap.status.${status}`;
}

/** The look: what a step of one's own would mend looks like a step, what ran and missed like a miss. */
export function lookOf({ status, because }: Judged): TaskStatus {
  if (because === "component" || because === "setting") return "not_yet";
  return because === "missed" ? "failed" : status;
}
