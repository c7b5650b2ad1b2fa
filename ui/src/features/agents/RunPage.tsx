import { useMutation } from "@tanstack/react-query";
import { Ban, Trash2 } from "lucide-react";
import { Link, useLocation } from "wouter";
import { ApprovalCard } from "@/components/Approval";
import { Button } from "@/components/Button";
import { JobBadge } from "@/components/JobLine";
import { Markdown } from "@/components/Markdown";
import { Page } from "@/components/Page";
import { ErrorPanel, Skeleton } from "@/components/states";
import { api } from "@/lib/api";
import { number } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import { isActive } from "@/lib/jobs";
import type { Job } from "@/lib/types";
import css from "./Agents.module.css";
import { useAnswer, useRemove, useReplay, useRun, type RunOut } from "./api";
import { RunForm } from "./RunForm";
import { StopBadge } from "./StopBadge";
import { TraceSteps } from "./TraceSteps";

/** One run: what it was asked, what it asks, every step, the answer. */
export default function RunPage({ id }: { id: string }) {
  const { t } = useI18n();
  const [, go] = useLocation();
  const { data: run, error, refetch } = useRun(id);
  const replay = useReplay(id);
  const remove = useRemove();
  const answer = useAnswer(id);
  const active = !!run?.job && isActive(run.job);
  const again = (seq: number) => replay.mutate(seq, { onSuccess: (made) => go(`/agents/${made.id}`) });
  return (
    <Page
      title={t("agents.title")}
      lead={<Link href="/agents">← {t("agents.back")}</Link>}
      actions={
        run &&
        (active && run.job ? (
          <CancelButton job={run.job} />
        ) : (
          <Button
            icon={Trash2}
            busy={remove.isPending}
            onClick={() => remove.mutate(id, { onSuccess: () => go("/agents") })}
          >
            {t("agents.remove")}
          </Button>
        ))
      }
      narrow
    >
      {error && <ErrorPanel error={error} retry={() => void refetch()} />}
      {!run && !error && <Skeleton lines={6} />}
      {run && (
        <>
          <Head run={run} />
          {run.pending.map((pending) => (
            <ApprovalCard
              key={pending.id}
              name={pending.name}
              effect={pending.effect}
              values={pending.arguments}
              busy={answer.isPending}
              error={answer.error}
              onAnswer={(said) => answer.mutate({ call: pending.id, ...said })}
            />
          ))}
          {run.job?.status === "failed" && <ErrorPanel error={run.job.error} />}
          {replay.error && <ErrorPanel error={replay.error} />}
          {run.ending?.answer ? (
            <section className={css.card}>
              <h2>{t("agents.answer")}</h2>
              <Markdown text={String(run.ending.answer)} />
              {unfounded(run).length > 0 && (
                <p className={css.hint} role="note">
                  {t("agents.unfounded", { numbers: unfounded(run).join(", ") })}
                </p>
              )}
            </section>
          ) : null}
          <h2 className={css.heading}>{t("agents.trace")}</h2>
          <TraceSteps
            entries={run.entries}
            decided={run.decided}
            within={run.within}
            onReplay={active ? undefined : again}
          />
          {active && !run.pending.length && (
            <p className={css.working} role="status">
              {t("agents.working")}
            </p>
          )}
          {run.ending && <RunForm after={{ id, tools: run.wish.tools ?? [] }} />}
        </>
      )}
    </Page>
  );
}

/** Numbers of the answer that no tool gave. Runs from before they were looked for have none. */
const unfounded = (run: RunOut): string[] => (run.ending?.unfounded as string[] | undefined) ?? [];

function Head({ run }: { run: RunOut }) {
  const { t, lang } = useI18n();
  const tokens = Number(run.ending?.tokens ?? 0);
  return (
    <header className={css.head}>
      <p className={css.task}>{run.wish.task}</p>
      <p className={css.facts}>
        {run.ending ? <StopBadge run={run} /> : run.job && <JobBadge status={run.job.status} />}
        <span>{run.model}</span>
        {run.ending && (
          <>
            <span>{t("agents.steps", { n: Number(run.ending.steps) })}</span>
            <span>{t("agents.tokens", { n: number(tokens, lang) })}</span>
          </>
        )}
        {run.wish.tools?.map((tool) => (
          <code key={tool}>{tool}</code>
        ))}
      </p>
      {run.replay_of && (
        <p className={css.hint}>
          <Link href={`/agents/${run.replay_of}`}>
            {t("agents.replayed", { id: run.replay_of, n: run.replay_from ?? 1 })}
          </Link>
        </p>
      )}
    </header>
  );
}

function CancelButton({ job }: { job: Job }) {
  const { t } = useI18n();
  const cancel = useMutation({ mutationFn: () => api.post<Job>(`/jobs/${job.id}/cancel`) });
  return (
    <Button icon={Ban} busy={cancel.isPending || job.cancel_requested} onClick={() => cancel.mutate()}>
      {t("agents.cancel")}
    </Button>
  );
}
