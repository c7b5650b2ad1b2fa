import { Check } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/Button";
import { Field } from "@/components/Field";
import { Lesson, LessonCard } from "@/components/Lesson";
import { Segments } from "@/components/Segments";
import { ErrorPanel, Skeleton } from "@/components/states";
import type { components } from "@/lib/api.gen";
import { useI18n } from "@/lib/i18n";
import { usePredict, useRested, useView, type AttentionOut, type HeadScore } from "./api";
import { Arcs, Matrix, type Look } from "./AttentionMap";
import { inked, Judged, type TabProps } from "./Lesson";
import css from "./Lens.module.css";
import pictures from "./Pictures.module.css";

type Found = components["schemas"]["LookOut"];
const KINDS = ["previous", "first", "induction"] as const;

export function AttentionTab({ model }: TabProps) {
  const { t } = useI18n();
  const [text, setText] = useState<string>(t("lens.attention.example"));
  const [chat, setChat] = useState(false);
  const [where, setWhere] = useState<{ layer: number; head: number | null }>({ layer: 0, head: 0 });
  const [look, setLook] = useState<Look>({ from: 5, to: 0 });
  const [picture, setPicture] = useState<"matrix" | "arcs">("matrix");
  const asked = { text: useRested(text), chat, model, ...where };
  const view = useView<AttentionOut>("attention", asked, asked.text !== "");
  const predict = usePredict<Found>("attention");
  const seen = view.data;
  const last = (seen?.tokens.length ?? 1) - 1;
  const from = Math.min(look.from, last);
  const at = { from, to: Math.min(look.to, from) };
  const choose = (next: Look) => {
    setLook(next);
    predict.reset();
  };
  return (
    <>
      <Lesson title={t("lens.attention.title")} text={t("lens.attention.lesson")} />
      <LessonCard title={t("lens.attention.instrument")} hint={t("lens.attention.hint")}>
        <Field label={t("lens.text")}>
          {(props) => <textarea {...props} rows={2} value={text} onChange={(event) => setText(event.target.value)} />}
        </Field>
        <label className={css.check}>
          <input type="checkbox" checked={chat} onChange={(event) => setChat(event.target.checked)} />{" "}
          {t("lens.asChat")}
        </label>
        {view.error && <ErrorPanel error={view.error} />}
        {view.isPending && <Skeleton lines={6} height={40} />}
        {seen && (
          <div className={css.split}>
            <div>
              <Segments
                label={t("lens.attention.picture")}
                value={picture}
                onChange={setPicture}
                options={[
                  { value: "matrix", label: t("lens.attention.asMatrix") },
                  { value: "arcs", label: t("lens.attention.asArcs") },
                ]}
              />
              {picture === "matrix" ? (
                <Matrix seen={seen} at={at} onChoose={choose} />
              ) : (
                <Arcs seen={seen} at={at} onChoose={choose} />
              )}
            </div>
            <Heads
              seen={seen}
              where={where}
              onChoose={(next) => {
                setWhere(next);
                predict.reset();
              }}
            />
          </div>
        )}
      </LessonCard>
      {seen && where.head !== null && (
        <LessonCard title={t("lens.attention.find")} hint={t("lens.attention.findHint")}>
          <div className={css.row}>
            <span>
              <code>{inked(seen.tokens[at.from] ?? "")}</code> → <code>{inked(seen.tokens[at.to] ?? "")}</code>
            </span>
            <Button
              tone="primary"
              icon={Check}
              busy={predict.isPending}
              onClick={() => predict.mutate({ ...asked, token: at.from, guess: at.to })}
            >
              {t("lens.attention.this")}
            </Button>
          </div>
          {predict.error && <ErrorPanel error={predict.error} />}
          {predict.data && (
            <Judged passed={predict.data.passed} task="1.2">
              {t("lens.attention.judged", {
                from: inked(predict.data.tokens[predict.data.token] ?? ""),
                to: inked(predict.data.tokens[predict.data.truth] ?? ""),
                n: predict.data.truth + 1,
              })}
            </Judged>
          )}
        </LessonCard>
      )}
    </>
  );
}

interface HeadsProps {
  seen: AttentionOut;
  where: { layer: number; head: number | null };
  onChoose: (where: { layer: number; head: number | null }) => void;
}

/** All heads at a glance, each in the colour of what it does most. */
function Heads({ seen, where, onChoose }: HeadsProps) {
  const { t } = useI18n();
  const kindOf = (score: HeadScore) => KINDS.reduce((best, kind) => (score[kind] > score[best] ? kind : best));
  const chosen = seen.scores.find(({ layer, head }) => layer === where.layer && head === where.head);
  return (
    <div>
      <h4>{t("lens.attention.heads")}</h4>
      <div
        className={pictures.headGrid}
        style={{ gridTemplateColumns: `auto repeat(${seen.heads}, minmax(18px, 34px))` }}
      >
        {Array.from({ length: seen.layers }, (_, layer) => [
          <button
            key={layer}
            type="button"
            className={pictures.layer}
            aria-pressed={where.layer === layer && where.head === null}
            title={t("lens.attention.average")}
            onClick={() => onChoose({ layer, head: null })}
          >
            {layer}
          </button>,
          ...seen.scores
            .filter((score) => score.layer === layer)
            .map((score) => {
              const kind = kindOf(score);
              const name = t("lens.attention.head", { layer, head: score.head });
              return (
                <button
                  key={`${layer}-${score.head}`}
                  type="button"
                  data-kind={kind}
                  style={{ "--strength": `${Math.round(score[kind] * 100)}%` } as React.CSSProperties}
                  aria-label={name}
                  title={name}
                  aria-pressed={where.layer === layer && where.head === score.head}
                  onClick={() => onChoose({ layer, head: score.head })}
                />
              );
            }),
        ])}
      </div>
      <ul className={css.legend}>
        {KINDS.map((kind) => (
          <li key={kind} data-kind={kind}>
            {t(`lens.head.${kind}`)} {chosen && <b>{(100 * chosen[kind]).toFixed(0)} %</b>}
          </li>
        ))}
      </ul>
    </div>
  );
}
