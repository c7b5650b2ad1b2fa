import { CornerDownRight } from "lucide-react";
import { useState } from "react";
import { Badge } from "@/components/Badge";
import { Button, CopyButton, Spinner } from "@/components/Button";
import { Segments } from "@/components/Segments";
import { ErrorPanel } from "@/components/states";
import { Tip } from "@/components/Tip";
import { number, seconds } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import { figuresOf, type Choice } from "./answer";
import css from "./Playground.module.css";
import type { Run } from "./runs";

/** Time to the first token, speed, counts: what is not known is not shown. */
export function RunFigures({ run }: { run: Run }) {
  const { t, lang } = useI18n();
  const { usage } = run.answer;
  const { ttft, seconds: total, rate } = figuresOf(run.timing, usage?.completion_tokens, run.streamed);
  const cached = usage?.prompt_tokens_details?.cached_tokens;
  const finish = run.answer.choices[0]?.finish;
  const facts: [string, string | null][] = [
    [t("play.ttft"), ttft === null ? null : seconds(ttft)],
    [t("play.rate"), rate === null ? null : t("play.perSecond", { n: number(rate, lang, rate < 10 ? 1 : 0) })],
    [t("play.total"), total === null ? null : seconds(total)],
    [
      t("play.promptTokens"),
      usage?.prompt_tokens === undefined
        ? null
        : [t("play.numTokens", { n: usage.prompt_tokens }), cached ? t("play.cached", { n: cached }) : ""]
            .filter(Boolean)
            .join(" · "),
    ],
    [
      t("play.answerTokens"),
      usage?.completion_tokens === undefined ? null : t("play.numTokens", { n: usage.completion_tokens }),
    ],
    [t("play.finish"), finish ?? null],
  ];
  const known = facts.filter(([, value]) => value !== null);
  if (!known.length) return null;
  return (
    <Tip text={t("play.rateHint")}>
      <dl className={css.figures} tabIndex={0}>
        {known.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </Tip>
  );
}

/** What went wrong, or that one stopped it oneself. */
export function RunTrouble({ run }: { run: Run }) {
  const { t } = useI18n();
  if (run.phase === "failed") return <ErrorPanel error={run.error ?? run.answer.error} />;
  if (run.phase === "stopped") return <Badge tone="warn">{t("play.stopped")}</Badge>;
  return null;
}

export function AnswerView({ run, onContinue }: { run: Run | null; onContinue: (choice: Choice) => void }) {
  const { t } = useI18n();
  const [picked, pick] = useState("0");
  if (!run) return <p className={css.hint}>{t("play.noAnswer")}</p>;
  const { choices } = run.answer;
  const at = Number(picked) < choices.length ? Number(picked) : 0;
  const choice = choices[at];
  const busy = run.phase === "running";
  return (
    <div className={css.answer} aria-busy={busy}>
      {choices.length > 1 && (
        <Segments
          label={t("play.answer")}
          value={String(at)}
          onChange={pick}
          options={choices.map((_, index) => ({ value: String(index), label: t("play.answerN", { n: index + 1 }) }))}
        />
      )}
      {busy && !choice && (
        <p className={css.hint}>
          <Spinner size={14} /> {t("play.waiting")}
        </p>
      )}
      {choice && <ChoiceView choice={choice} done={!busy} />}
      <RunTrouble run={run} />
      {choice && !busy && (choice.text || choice.calls.length > 0) && (
        <div className={css.row}>
          <Button small icon={CornerDownRight} onClick={() => onContinue(choice)}>
            {t("play.continue")}
          </Button>
          {choice.text && <CopyButton text={choice.text} />}
        </div>
      )}
    </div>
  );
}

function ChoiceView({ choice, done }: { choice: Choice; done: boolean }) {
  const { t } = useI18n();
  const { text, thought, calls } = choice;
  return (
    <>
      {thought && (
        <details className={css.thought} open={!text}>
          <summary>{t("play.thought")}</summary>
          <p>{thought}</p>
        </details>
      )}
      {text && (
        <p className={css.text} data-testid="answer">
          {text}
        </p>
      )}
      {calls.map((call, index) => (
        <div key={index} className={css.callBox}>
          <strong>{t("play.calls", { name: call.function.name })}</strong>
          <pre>{pretty(call.function.arguments)}</pre>
        </div>
      ))}
      {done && !text && !calls.length && <p className={css.hint}>{t("play.emptyAnswer")}</p>}
    </>
  );
}

/** Arguments are the model's own text: where it is no JSON it is shown as it is. */
function pretty(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}
