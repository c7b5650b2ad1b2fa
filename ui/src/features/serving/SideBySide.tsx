import { Plus, X } from "lucide-react";
import { Fragment } from "react";
import { Button, IconButton, Spinner } from "@/components/Button";
import { useI18n } from "@/lib/i18n";
import { partsOf } from "./answer";
import { RunFigures, RunTrouble } from "./AnswerView";
import { firstDifference } from "./difference";
import { ModelChoice } from "./ModelChoice";
import type { Offered } from "./offered";
import { OtherEngine } from "./OtherEngine";
import css from "./Playground.module.css";
import { useRun, type Run } from "./runs";

export const MOST_COLUMNS = 3;
export const columnId = (index: number) => `side-${index}`;

interface SideBySideProps {
  offered: readonly Offered[];
  models: readonly string[];
  greedy: boolean;
  onChange: (models: string[]) => void;
}

/** The answers of two or three models to one request, with the place where they part. */
export function SideBySide({ offered, models, greedy, onChange }: SideBySideProps) {
  const { t } = useI18n();
  const runs = [useRun(columnId(0)), useRun(columnId(1)), useRun(columnId(2))].slice(0, models.length);
  const texts = runs.map((run) => partsOf(run?.answer.choices[0]));
  const marks = firstMark(runs, texts);
  const spare = offered.find(({ name }) => !models.includes(name))?.name ?? models[0] ?? "";
  return (
    <section className={css.sides} aria-label={t("play.compare")}>
      <p className={css.hint}>
        {t("play.compareHint")} {!greedy && t("play.greedyHint")}
      </p>
      <div className={css.columns} data-columns={models.length}>
        {models.map((model, index) => (
          <article key={index} className={css.column} aria-label={model} aria-busy={runs[index]?.phase === "running"}>
            <div className={css.columnHead}>
              <ModelChoice
                label={t("play.modelN", { n: index + 1 })}
                offered={offered}
                value={model}
                onChange={(name) => onChange(models.map((old, at) => (at === index ? name : old)))}
              />
              {models.length > 2 && (
                <IconButton
                  small
                  icon={X}
                  label={t("play.removeColumn")}
                  onClick={() => onChange(models.filter((_, at) => at !== index))}
                />
              )}
            </div>
            <Column run={runs[index] ?? null} parts={texts[index] ?? []} mark={marks ? (marks[index] ?? null) : null} />
          </article>
        ))}
      </div>
      <Verdict runs={runs} texts={texts} marks={marks} models={models} />
      <div className={css.row}>
        {models.length < MOST_COLUMNS && (
          <Button small icon={Plus} onClick={() => onChange([...models, spare])}>
            {t("play.addColumn")}
          </Button>
        )}
        <OtherEngine
          offered={offered}
          first={models[0] ?? ""}
          onMade={(name) => onChange(models.length < MOST_COLUMNS ? [...models, name] : [...models.slice(0, -1), name])}
        />
      </div>
    </section>
  );
}

/** Where they part, as far as it is certain: an answer that still grows has not ended where another goes on. */
function firstMark(runs: readonly (Run | null)[], texts: readonly string[][]): number[] | null {
  if (runs.some((run) => !run || run.phase === "failed")) return null;
  const marks = firstDifference(texts);
  const isOpen = marks?.some((mark, index) => mark >= (texts[index]?.length ?? 0) && runs[index]?.phase === "running");
  return isOpen ? null : marks;
}

function Column({ run, parts, mark }: { run: Run | null; parts: readonly string[]; mark: number | null }) {
  const { t } = useI18n();
  if (!run) return <p className={css.hint}>{t("play.noAnswer")}</p>;
  const calls = run.answer.choices[0]?.calls ?? [];
  return (
    <>
      {run.phase === "running" && !parts.length && (
        <p className={css.hint}>
          <Spinner size={14} /> {t("play.waiting")}
        </p>
      )}
      {parts.length > 0 && (
        <p className={css.text} data-testid="column-answer">
          {mark === null ? (
            parts.join("")
          ) : (
            <>
              {parts.slice(0, mark).join("")}
              <mark className={css.parting}>{parts[mark] ?? "∎"}</mark>
              <span className={css.after}>{parts.slice(mark + 1).join("")}</span>
            </>
          )}
        </p>
      )}
      {calls.map((call, index) => (
        <pre key={index} className={css.call}>{`${call.function.name}(${call.function.arguments})`}</pre>
      ))}
      <RunTrouble run={run} />
      <RunFigures run={run} />
    </>
  );
}

interface VerdictProps {
  runs: readonly (Run | null)[];
  texts: readonly string[][];
  marks: number[] | null;
  models: readonly string[];
}

function Verdict({ runs, texts, marks, models }: VerdictProps) {
  const { t } = useI18n();
  const told = runs.filter((run) => run !== null);
  if (told.length < models.length || told.some((run) => run.phase === "failed")) return null;
  if (texts.every((parts) => !parts.length)) return null;
  const running = told.some((run) => run.phase === "running");
  const hasTokens = told.every((run) => run.answer.choices[0]?.tokens.length);
  const where = models.map((model, index) => t("play.differsAt", { model, n: (marks?.[index] ?? 0) + 1 })).join(", ");
  return (
    <p className={css.verdict} role="status">
      {marks ? t("play.differs", { where }) : t(running ? "play.sameSoFar" : "play.same")}
      {marks && !hasTokens && <Fragment> {t("play.tokenBasis")}</Fragment>}
    </p>
  );
}
