import { JobLine } from "@/components/JobLine";
import { useI18n } from "@/lib/i18n";
import { useJobs } from "@/lib/queries";
import type { Planned } from "./api";

const gb = (bytes: number) => (bytes / 1e9).toFixed(1);

/** What a run would take, once three of its steps are measured; or the nearest configuration that fits. */
export function EstimateLine({ id }: { id: string }) {
  const { t } = useI18n();
  const job = (useJobs().data ?? []).find((one) => one.id === id);
  if (!job) return null;
  if (job.status !== "done") return <JobLine job={job} />;
  const withSwitch = (found: NonNullable<Planned["fits"]>) =>
    [t(`tune.method.${found.method}`), ...(found.checkpointing ? [t("tune.switch.checkpointing")] : [])].join(" · ");
  const { memory, free, fits, steps, seconds, peak_mb } = job.result as unknown as Planned;
  if (memory.total > free) {
    return (
      <p role="status">
        {t("tune.tooLarge", { total: gb(memory.total), free: gb(free) })}{" "}
        {fits && t("tune.nearest", { method: withSwitch(fits), length: fits.max_len, total: gb(fits.total) })}
      </p>
    );
  }
  return (
    <p role="status">
      {t("tune.planned", {
        steps,
        minutes: (seconds / 60).toFixed(1),
        total: gb(memory.total),
        peak: gb(peak_mb * 1e6),
        free: gb(free),
      })}
    </p>
  );
}
