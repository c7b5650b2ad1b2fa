import { ArrowLeft, ExternalLink, Gauge } from "lucide-react";
import { Link, useLocation } from "wouter";
import { Button } from "@/components/Button";
import { JobLine } from "@/components/JobLine";
import { LessonCard } from "@/components/Lesson";
import { Markdown } from "@/components/Markdown";
import { Page } from "@/components/Page";
import { ErrorPanel, FixLine, Skeleton } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { isActive } from "@/lib/jobs";
import { useJobs } from "@/lib/queries";
import { useFigure, usePapers, type Paper } from "./api";
import { Found } from "./LessonView";
import css from "./Internals.module.css";

/** One paper at a time: what it claims, its equation, our line of it, and its figure measured here. */
export default function PapersPage({ paper }: { paper?: string }) {
  const { t, say } = useI18n();
  const [, go] = useLocation();
  const { data, error, isPending, refetch } = usePapers();
  const shown = data?.find(({ name }) => name === paper) ?? data?.[0];
  return (
    <Page
      title={t("papers.title")}
      lead={t("papers.lead")}
      actions={
        <Link href="/internals" className={css.toPapers}>
          <ArrowLeft size={15} aria-hidden /> {t("internals.title")}
        </Link>
      }
    >
      {error && <ErrorPanel error={error} retry={() => void refetch()} />}
      {isPending && <Skeleton lines={8} height={28} />}
      {shown && (
        <div className={css.papers}>
          <label className={css.shelf}>
            <span>{t("papers.choose")}</span>
            <select value={shown.name} onChange={(event) => go(`/internals/papers/${event.target.value}`)}>
              {data?.map((one) => (
                <option key={one.name} value={one.name}>
                  {say(one.title)}
                </option>
              ))}
            </select>
          </label>
          <PaperView key={shown.name} paper={shown} />
        </div>
      )}
    </Page>
  );
}

function PaperView({ paper }: { paper: Paper }) {
  const { t, say } = useI18n();
  return (
    <>
      <LessonCard title={say(paper.title)} hint={paper.full}>
        <p>{say(paper.claim)}</p>
        <p className={css.links}>
          <a href={paper.url} target="_blank" rel="noopener noreferrer">
            {paper.url.replace("https://", "")} <ExternalLink size={13} aria-hidden />
          </a>
          <Link href={`/internals/${paper.lesson}`}>{t("papers.lesson", { task: paper.lesson })}</Link>
        </p>
      </LessonCard>
      <LessonCard title={t("papers.equation")}>
        <div className={css.equation} tabIndex={0}>
          <Markdown text={`$$\n${paper.equation}\n$$`} />
        </div>
        <p>{say(paper.words)}</p>
      </LessonCard>
      <LessonCard title={t("papers.code")} hint={t("papers.codeHint")}>
        {paper.code.map((place) => (
          <details key={place.symbol + place.file}>
            <summary>
              {place.file}:{place.line} · {place.symbol}
            </summary>
            <pre className={css.source} tabIndex={0}>
              {place.source}
            </pre>
          </details>
        ))}
      </LessonCard>
      <Figure paper={paper} />
      {paper.result && <Found result={paper.result} />}
    </>
  );
}

function Figure({ paper }: { paper: Paper }) {
  const { t, say } = useI18n();
  const run = useFigure(paper.name);
  const job = (useJobs().data ?? []).find(({ kind, params }) => kind === "lesson" && params["task"] === paper.name);
  const running = job !== undefined && isActive(job);
  return (
    <LessonCard title={t("papers.figure")} hint={say(paper.shows)}>
      {paper.missing ? (
        <div>
          <p>{t("internals.needs")}</p>
          <FixLine fix={paper.missing} />
        </div>
      ) : (
        <Button tone="primary" icon={Gauge} busy={run.isPending || running} onClick={() => run.mutate()}>
          {t(paper.result ? "internals.again" : "internals.measure")}
        </Button>
      )}
      {run.error && <ErrorPanel error={run.error} />}
      {job && (running || job.status === "failed") && <JobLine job={job} />}
    </LessonCard>
  );
}
