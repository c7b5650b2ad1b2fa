import { useI18n } from "@/lib/i18n";
import css from "./Thought.module.css";

/** What a thinking model thought on the way: open while it thinks, folded away once it answers. */
export function Thought({ text, open, seconds }: { text: string; open: boolean; seconds: number | null }) {
  const { t } = useI18n();
  const told =
    seconds === null ? t("answer.thought") : t("answer.thoughtFor", { s: seconds.toFixed(seconds < 10 ? 1 : 0) });
  return (
    <details className={css.thought} open={open}>
      <summary>{open ? t("answer.thinking") : told}</summary>
      <div>{text}</div>
    </details>
  );
}
