import { ScrollText } from "lucide-react";
import { Link } from "wouter";
import { Button } from "@/components/Button";
import { JobLine } from "@/components/JobLine";
import { ErrorPanel, Skeleton } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { isActive } from "@/lib/jobs";
import { useJobs } from "@/lib/queries";
import { useSummarise, useSummary } from "./api";
import { placeHref } from "./places";
import css from "./Docqa.module.css";

/** The summary of a document: each sentence leads to its place. */
export function SummaryPane({ kb, doc }: { kb: string; doc: string }) {
  const { t } = useI18n();
  const { data, error } = useSummary(kb, doc);
  const begin = useSummarise(kb, doc);
  const jobs = useJobs().data ?? [];
  if (error) return <ErrorPanel error={error} />;
  if (!data) return <Skeleton lines={6} />;
  const run = data.summary?.run;
  const made = run?.result?.summary;
  const job = jobs.find(({ id }) => id === run?.job_id);
  const going = !!job && isActive(job);
  return (
    <div className={css.inner}>
      <p className={css.hint}>{t("docqa.summaryHint")}</p>
      {begin.error && <ErrorPanel error={begin.error} />}
      {job && !run?.done && <JobLine job={job} />}
      {made && (
        <ol className={css.summary} data-testid="docqa-summary">
          {made.sentences.map(({ text, place, supported }, index) => (
            <li key={index} data-unsure={!supported || undefined}>
              {place && supported ? (
                <Link href={placeHref(kb, doc, place.start, place.end, [place.start, place.end])}>{text}</Link>
              ) : (
                <>
                  {text} <small>{t("docqa.noPlace")}</small>
                </>
              )}
            </li>
          ))}
        </ol>
      )}
      {made && <p className={css.hint}>{t("docqa.summaryDone", { model: run.model, calls: made.calls })}</p>}
      <Button
        tone={made ? "plain" : "primary"}
        icon={ScrollText}
        busy={begin.isPending || going}
        onClick={() => begin.mutate()}
      >
        {t(made ? "docqa.summariseAgain" : "docqa.summarise")}
      </Button>
    </div>
  );
}
