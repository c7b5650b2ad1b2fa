import { Ban, RotateCw } from "lucide-react";
import type { ReactNode } from "react";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Badge, type BadgeTone } from "@/components/Badge";
import { IconButton } from "@/components/Button";
import { Progress } from "@/components/Progress";
import { useErrorText } from "@/components/states";
import { api } from "@/lib/api";
import { ago } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import { acceptJob, isActive } from "@/lib/jobs";
import { toast } from "@/lib/toast";
import type { Job, JobStatus } from "@/lib/types";
import css from "./JobLine.module.css";

const TONES: Record<JobStatus, BadgeTone> = {
  queued: "neutral",
  running: "info",
  done: "ok",
  failed: "bad",
  cancelled: "warn",
};

export function JobBadge({ status }: { status: JobStatus }) {
  const { t } = useI18n();
  return (
    <Badge tone={TONES[status]} dot live={status === "running"}>
      {t(`job.status.${status}`)}
    </Badge>
  );
}

/** One job: what it is, how far, and the ways to stop it or run it again. `title` may be a link to more. */
export function JobLine({ job, title }: { job: Job; title?: ReactNode }) {
  const { say, lang } = useI18n();
  const errorText = useErrorText();
  const running = job.status === "running";
  const now = [say(job.stage), job.detail].filter(Boolean).join(" · ");
  return (
    <div className={css.line}>
      <div className={css.body}>
        <span className={css.title}>{title ?? say(job.title)}</span>
        {isActive(job) ? (
          <span className={css.now}>{now}</span>
        ) : (
          <span className={css.now}>{ago(job.finished_at ?? job.created_at, lang)}</span>
        )}
        {running && <Progress value={job.progress || null} label={say(job.title)} />}
        {job.status === "failed" && <p className={css.failure}>{errorText(job.error).text}</p>}
      </div>
      <JobBadge status={job.status} />
      <JobTools job={job} />
    </div>
  );
}

function JobTools({ job }: { job: Job }) {
  const { t } = useI18n();
  const queries = useQueryClient();
  const errorText = useErrorText();
  const act = useMutation({
    mutationFn: (verb: "cancel" | "retry") => api.post<Job>(`/jobs/${job.id}/${verb}`),
    onSuccess: (changed) => acceptJob(queries, changed),
    onError: (error) => toast(errorText(error).text, "bad"),
  });
  if (isActive(job)) {
    const stopping = job.cancel_requested;
    return (
      <IconButton
        small
        icon={Ban}
        label={t(stopping ? "job.cancelling" : "job.cancel")}
        disabled={act.isPending || stopping}
        onClick={() => act.mutate("cancel")}
      />
    );
  }
  if (job.status === "done") return <span className={css.noTool} />;
  return (
    <IconButton
      small
      icon={RotateCw}
      label={t("job.retry")}
      disabled={act.isPending}
      onClick={() => act.mutate("retry")}
    />
  );
}
