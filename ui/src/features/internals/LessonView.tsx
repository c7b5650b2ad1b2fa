import { ArrowRight, CircleCheck, CircleX, Gauge, Info } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";
import { Button } from "@/components/Button";
import { Choice, Option } from "@/components/Choice";
import { JobLine } from "@/components/JobLine";
import { Lesson as Words, LessonCard } from "@/components/Lesson";
import { ErrorPanel, FixLine } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { isActive } from "@/lib/jobs";
import { useJobs } from "@/lib/queries";
import { useRun, type Lesson, type Result } from "./api";
import { ChartView } from "./ChartView";
import { CodeView } from "./CodeView";
import { GridView } from "./GridView";
import { short } from "./scale";
import { TableView } from "./TableView";
import { TimelineView } from "./TimelineView";
import css from "./Internals.module.css";

/** A lesson from top to bottom: the words, the guess, the run, its pictures, the code. */
export function LessonView({ lesson }: { lesson: Lesson }) {
  const { say } = useI18n();
  return (
    <>
      <Words title={say(lesson.title)} text={say(lesson.lesson)} />
      <Guess lesson={lesson} />
      {lesson.result && <Found result={lesson.result} />}
      <CodeView lesson={lesson} />
    </>
  );
}

/** The question, the options, and the run that answers it. */
function Guess({ lesson }: { lesson: Lesson }) {
  const { t, say } = useI18n();
  const { task, result } = lesson;
  const [guess, setGuess] = useState<number | null>(lesson.guess);
  const run = useRun(task);
  const jobs = useJobs().data ?? [];
  const job = jobs.find(({ kind, params }) => kind === "lesson" && params["task"] === task);
  const running = job !== undefined && isActive(job);
  return (
    <LessonCard title={t("internals.guess")} hint={say(lesson.question)}>
      <Choice
        label={say(lesson.question)}
        value={guess === null ? "" : String(guess)}
        onChange={(value) => setGuess(Number(value))}
      >
        {lesson.options.map((option, index) => (
          <Option key={index} value={String(index)} title={say(option)} disabled={running} />
        ))}
      </Choice>
      {lesson.missing ? (
        <div>
          <p>{t("internals.needs")}</p>
          <FixLine fix={lesson.missing} />
        </div>
      ) : (
        <Button
          tone="primary"
          icon={Gauge}
          busy={run.isPending || running}
          disabled={guess === null && !result}
          onClick={() => run.mutate(guess)}
        >
          {t(result ? "internals.again" : "internals.measure")}
        </Button>
      )}
      {run.error && <ErrorPanel error={run.error} />}
      {job && (running || job.status === "failed") && <JobLine job={job} />}
      {result && !running && <Answer lesson={lesson} result={result} />}
    </LessonCard>
  );
}

function Answer({ lesson, result }: { lesson: Lesson; result: Result }) {
  const { t, say } = useI18n();
  const answer = say(lesson.options[result.answer]);
  const guessed = lesson.guess === null ? "none" : lesson.guess === result.answer ? "right" : "wrong";
  const Sign = { none: Info, right: CircleCheck, wrong: CircleX }[guessed];
  const words = {
    none: () => t("internals.measured", { answer }),
    right: () => t("internals.expected", { answer }),
    wrong: () => t("internals.unexpected", { answer, guess: say(lesson.options[lesson.guess ?? 0]) }),
  }[guessed];
  return (
    <div className={css.judged} data-guess={guessed} role="status">
      <Sign size={18} aria-hidden />
      <div>
        <p>{words()}</p>
        {lesson.gated && (
          <Link href={`/roadmap/${lesson.task}`}>
            {t("internals.toGate", { task: lesson.task })} <ArrowRight size={13} aria-hidden />
          </Link>
        )}
      </div>
    </div>
  );
}

/** Everything a run found: what it was held against, and its pictures. */
export function Found({ result }: { result: Result }) {
  const { t } = useI18n();
  return (
    <>
      <LessonCard title={t("internals.checks")} hint={t("internals.checksHint")}>
        <Checks result={result} />
      </LessonCard>
      <LessonCard title={t("internals.pictures")} hint={t("internals.picturesHint")}>
        <div className={css.pictures}>
          {result.charts.map((chart, index) => (
            <ChartView key={index} chart={chart} />
          ))}
          {result.timelines.map((timeline, index) => (
            <TimelineView key={index} timeline={timeline} />
          ))}
          {result.grids.map((grid, index) => (
            <GridView key={index} grid={grid} />
          ))}
          {result.tables.map((table, index) => (
            <TableView key={index} table={table} />
          ))}
        </div>
      </LessonCard>
    </>
  );
}

/** Letters of a value that has a line of its own. */
const LONG = 24;

function Checks({ result }: { result: Result }) {
  const { t, say } = useI18n();
  return (
    <ul className={css.checks}>
      {result.checks.map((check, index) => {
        const Sign = check.passed ? CircleCheck : CircleX;
        const long = String(check.value).length > LONG;
        return (
          <li key={index} data-passed={check.passed} data-long={long || undefined}>
            <Sign size={16} aria-label={t(check.passed ? "internals.met" : "internals.missed")} />
            <span>{say(check.name)}</span>
            <b>{typeof check.value === "number" ? short(check.value) : check.value}</b>
            {/* A long list that met its bar is the same list once more. */}
            <small>{long && check.passed ? t("internals.equal") : check.bar}</small>
          </li>
        );
      })}
    </ul>
  );
}
