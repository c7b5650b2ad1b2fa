import { Fragment, lazy, Suspense } from "react";
import { LessonCard } from "@/components/Lesson";
import { FixLine } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import type { Lesson } from "./api";
import css from "./Internals.module.css";

const Highlighted = lazy(() => import("@/components/Highlighted"));

/** The lesson's module as it is, and how to put one's own in its place. */
export function CodeView({ lesson }: { lesson: Lesson }) {
  const { t } = useI18n();
  const file = lesson.part.split("/").at(-1) ?? "";
  return (
    <LessonCard title={t("internals.code")} hint={t("internals.codeHint")}>
      {lesson.mine && <p className={css.hint}>{t("internals.mine", { file: lesson.mine })}</p>}
      <ol className={css.steps}>
        <li>
          {t("internals.copyStep")} <FixLine bare fix={`zhilu internals copy ${lesson.task} .`} />
        </li>
        <li>
          {t("internals.runStep")} <FixLine bare fix={`zhilu internals run ${lesson.task} --mine ${file}`} />
        </li>
      </ol>
      <details open>
        <summary>{lesson.part}</summary>
        <pre className={css.source} tabIndex={0}>
          <Suspense fallback={lesson.source}>
            <Highlighted code={lesson.source} language="python" />
          </Suspense>
        </pre>
      </details>
      <p className={css.hint}>
        {t("internals.real")}: {lesson.real.map((name) => `zhilu/${name}`).join(", ")}
        <br />
        {t("internals.papers")}:{" "}
        {lesson.papers.map((paper, index) => (
          <Fragment key={paper}>
            {index > 0 && "; "}
            <PaperLink paper={paper} />
          </Fragment>
        ))}
      </p>
    </LessonCard>
  );
}

/** A paper that names its arXiv number leads there. */
function PaperLink({ paper }: { paper: string }) {
  const id = /\((\d{4}\.\d{4,5})\)/.exec(paper)?.[1];
  if (!id) return paper;
  return (
    <a href={`https://arxiv.org/abs/${id}`} target="_blank" rel="noopener noreferrer">
      {paper}
    </a>
  );
}
