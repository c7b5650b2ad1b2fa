import type { ReactNode } from "react";
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

export function LessonCard({ title, hint, children }: { title: string; hint?: string; children: ReactNode }) {
  return (
    <section className={css.card}>
      <h3>{title}</h3>
      {hint && <p className={css.hint}>{hint}</p>}
      {children}
    </section>
  );
}
