import type { ReactNode } from "react";
import { SaveFigure } from "@/components/SaveFigure";
import { Prose } from "@/components/Prose";
import css from "./Lesson.module.css";

/** What a page teaches, in plain words; its instruments follow as cards. */
export function Lesson({ title, text }: { title: string; text: string }) {
  return (
    <section className={css.lesson}>
      <h2>{title}</h2>
      <Prose text={text} />
    </section>
  );
}

interface LessonCardProps {
  title: string;
  hint?: string;
  /** The card can be saved as a picture. */
  saved?: boolean;
  children: ReactNode;
}

export function LessonCard({ title, hint, saved, children }: LessonCardProps) {
  return (
    <section className={css.card} data-figure={saved || undefined}>
      <h3>{title}</h3>
      {hint && <p className={css.hint}>{hint}</p>}
      {children}
      {saved && <SaveFigure name={title} whole />}
    </section>
  );
}
