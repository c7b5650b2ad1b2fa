import { Send } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/Button";
import { LessonCard } from "@/components/Lesson";
import { Segments } from "@/components/Segments";
import { ErrorPanel } from "@/components/states";
import { openaiPost, refusal } from "@/lib/api";
import { useI18n } from "@/lib/i18n";
import css from "./Internals.module.css";

const COUNTS = ["4", "12", "40"] as const;
const LONGEST = 64;
/** A browser has six connections to a server and keeps other questions waiting by itself: so they go in three lots. */
const LOTS = 3;

/** Questions of different lengths: every other one begins with the same text, and the third is much longer than a step. */
function questions(text: string, count: number): string[] {
  const words = text.split("\n\n")[0] ?? text;
  return Array.from({ length: count }, (_, number) => {
    if (number === 2) return `${text} ${text} ${number}`;
    return number % 2 === 0 ? `${words} ${number}` : `${number}. ${words.slice(number % 7, 30 + 10 * (number % 9))}`;
  });
}

/** Sends real questions to the model, all at the same time, so that there is something to see. */
export function LiveAsk({ model }: { model: string }) {
  const { t } = useI18n();
  const [count, setCount] = useState<(typeof COUNTS)[number]>("12");
  const [open, setOpen] = useState(0);
  const [answered, setAnswered] = useState(0);
  const [error, setError] = useState<unknown>(null);
  const ask = async (lot: string[], number: number) => {
    const messages = lot.map((content) => [{ role: "user", content }]);
    const body = { model, messages, max_tokens: LONGEST - 12 * number, temperature: 0 };
    try {
      const response = await openaiPost("/chat/completions/batch", JSON.stringify(body), AbortSignal.timeout(300_000));
      const text = await response.text();
      if (!response.ok) throw refusal(response, text);
      setAnswered((before) => before + lot.length);
    } catch (cause) {
      setError(cause);
    } finally {
      setOpen((before) => before - 1);
    }
  };
  const send = () => {
    setError(null);
    setAnswered(0);
    setOpen(LOTS);
    const all = questions(t("live.words"), Number(count));
    for (let lot = 0; lot < LOTS; lot++) {
      const own = all.filter((_, number) => number % LOTS === lot);
      void ask(own, lot);
    }
  };
  return (
    <LessonCard title={t("live.ask")} hint={t("live.askHint")}>
      <div className={css.shelf}>
        <Segments
          label={t("live.howMany")}
          value={count}
          onChange={setCount}
          options={COUNTS.map((value) => ({ value, label: value }))}
        />
        <Button tone="primary" icon={Send} busy={open > 0} onClick={send}>
          {t("live.send", { n: count })}
        </Button>
        <span role="status">{answered > 0 && t("live.done", { n: answered })}</span>
      </div>
      {error !== null && <ErrorPanel error={error} />}
    </LessonCard>
  );
}
