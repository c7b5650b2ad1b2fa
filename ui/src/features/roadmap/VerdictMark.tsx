import { Ban, Check, CircleDashed, Clock, Footprints, LoaderCircle, X, type LucideIcon } from "lucide-react";
import { useI18n } from "@/lib/i18n";
import type { RoadmapTask, TaskStatus } from "@/lib/types";
import type { Checking } from "./api";
import { lookOf, wordOf } from "./verdict";
import css from "./VerdictMark.module.css";

export const MARKS: Record<TaskStatus, LucideIcon> = {
  passed: Check,
  failed: X,
  not_yet: Footprints,
  cannot_run_here: Ban,
  unchecked: CircleDashed,
};

/** The verdict as a sign; its words are there for screen readers and as a title. */
export function VerdictMark({ task, checking }: { task: RoadmapTask; checking: Checking | undefined }) {
  const { t } = useI18n();
  if (checking) {
    const Icon = checking === "now" ? LoaderCircle : Clock;
    return (
      <span className={css.mark} data-live={checking === "now" || undefined} title={t("roadmap.checking")}>
        <Icon size={15} aria-label={t("roadmap.checking")} />
      </span>
    );
  }
  const look = lookOf(task);
  const Icon = MARKS[look];
  const words = t(task.has_gate ? wordOf(task) : "roadmap.later");
  return (
    <span className={css.mark} data-status={task.has_gate ? look : "later"} title={words}>
      <Icon size={15} aria-label={words} />
    </span>
  );
}
