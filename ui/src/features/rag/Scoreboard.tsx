import { Gauge, Sparkles } from "lucide-react";
import { useState } from "react";
import { useSearchParams } from "wouter";
import { Badge } from "@/components/Badge";
import { Button } from "@/components/Button";
import { controlClass } from "@/components/Field";
import { JobLine } from "@/components/JobLine";
import { Empty, ErrorPanel, Skeleton, useErrorText } from "@/components/states";
import { ago } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import { toast } from "@/lib/toast";
import type { BoardRun, KnowledgeBase } from "@/lib/types";
import { readSetup, saidSetup, useBoardJob, useBoardJobs, useQuestions, useRuns } from "./board";
import { QuestionReview } from "./QuestionReview";
import { RunView } from "./RunView";
import css from "./Scoreboard.module.css";

const PROPOSED = 20; // questions a time

/** How well this knowledge base answers: questions to review, runs to compare, questions that failed. */
export function Scoreboard({ kb }: { kb: KnowledgeBase }) {
  const { t } = useI18n();
  const { data, error, refetch } = useQuestions(kb.id);
  const runs = useRuns(kb.id);
  const jobs = useBoardJobs(kb);
  const [params, setParams] = useSearchParams();
  const chosen = params.get("run") ?? runs.data?.find((run) => run.summary)?.id;
  const against = params.get("against");
  const show = (run: string, other?: string) =>
    setParams({ tab: "board", run, ...(other && other !== run ? { against: other } : {}) });

  if (error) return <ErrorPanel error={error} retry={() => void refetch()} />;
  if (!data || !runs.data) return <Skeleton lines={5} height={28} />;
  const none = !data.questions.length && !runs.data.length;
  return (
    <div className={css.board} data-testid="scoreboard">
      {none && <Empty icon={Gauge} title={t("rag.board.empty")} hint={t("rag.board.emptyHint")} />}
      <Start kb={kb} canMeasure={data.questions.length > 0} />
      {jobs.map((job) => (
        <JobLine key={job.id} job={job} />
      ))}
      {chosen && <RunView kb={kb.id} run={chosen} against={against} />}
      {runs.data.length > 0 && <History runs={runs.data} chosen={chosen} onShow={show} />}
      <QuestionReview kb={kb.id} list={data} />
    </div>
  );
}

function Start({ kb, canMeasure }: { kb: KnowledgeBase; canMeasure: boolean }) {
  const { t } = useI18n();
  const errorText = useErrorText();
  const [other, setOther] = useState("");
  const work = useBoardJob(kb.id);
  const refused = { onError: (error: Error) => toast(errorText(error).text, "bad") };
  return (
    <form
      className={css.start}
      onSubmit={(event) => {
        event.preventDefault();
        work.mutate({ setups: other.trim() ? [{}, readSetup(other)] : [{}] }, refused);
      }}
    >
      <Button
        icon={Sparkles}
        disabled={!kb.num_documents}
        busy={work.isPending}
        onClick={() => work.mutate({ make: PROPOSED }, refused)}
      >
        {t("rag.board.make")}
      </Button>
      <input
        className={controlClass}
        aria-label={t("rag.board.compare")}
        placeholder={`${t("rag.board.compare")}: ${t("rag.board.compareHint")}`}
        value={other}
        onChange={(event) => setOther(event.target.value)}
      />
      <Button tone="primary" type="submit" icon={Gauge} disabled={!canMeasure} busy={work.isPending}>
        {t("rag.board.measure")}
      </Button>
    </form>
  );
}

interface HistoryProps {
  runs: readonly BoardRun[];
  chosen: string | undefined;
  onShow: (run: string, against?: string) => void;
}

function History({ runs, chosen, onShow }: HistoryProps) {
  const { t, lang } = useI18n();
  const name = (run: BoardRun) => saidSetup(run.setup) || t("rag.board.asItIs");
  const first = runs.find((run) => run.id === chosen);
  return (
    <section aria-label={t("rag.board.history")}>
      <h2 className={css.title}>{t("rag.board.history")}</h2>
      <ul className={css.rows}>
        {runs.map((run) => (
          <li key={run.id} className={css.row} data-chosen={run.id === chosen || undefined}>
            <button type="button" className={css.words} onClick={() => onShow(run.id)}>
              <b>{name(run)}</b>
              <small>
                {run.num_questions} · {String(run.resolved.model ?? "–")} · {ago(run.created_at, lang)}
              </small>
            </button>
            {!run.reviewed && <Badge>{t("rag.board.unreviewed")}</Badge>}
            {run.summary ? (
              <span className={css.figures}>
                MRR {run.summary.figures["mrr@10"]?.toFixed(2) ?? "–"} · {t("rag.board.fig.right")}{" "}
                {run.summary.figures.right?.toFixed(2) ?? "–"}
              </span>
            ) : (
              <span className={css.figures}>
                {t("rag.board.unfinished", { done: run.num_done, all: run.num_questions })}
              </span>
            )}
            {first && first.id !== run.id && run.summary && (
              <Button
                small
                tone="ghost"
                aria-label={t("rag.board.pick", { label: name(run) })}
                onClick={() => onShow(first.id, run.id)}
              >
                {t("rag.board.compare")}
              </Button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
