import { Check } from "lucide-react";
import { useMemo } from "react";
import { Button } from "@/components/Button";
import { Field } from "@/components/Field";
import { Lesson, LessonCard } from "@/components/Lesson";
import { SaveFigure } from "@/components/SaveFigure";
import { Segments } from "@/components/Segments";
import { ErrorPanel, Skeleton } from "@/components/states";
import type { components } from "@/lib/api.gen";
import { useI18n } from "@/lib/i18n";
import { useShared } from "@/lib/shared";
import { usePredict, useRested, useView, type AttentionOut, type HeadScore, type HeadsOut } from "./api";
import { Arcs, Matrix, type Look } from "./AttentionMap";
import { inked, Judged, type TabProps } from "./Lesson";
import { weightsOf } from "./weights";
import css from "./Lens.module.css";
import pictures from "./Pictures.module.css";

type Found = components["schemas"]["LookOut"];
const AVERAGE = -1; // of all heads, in a link
const KINDS = ["previous", "first", "induction"] as const;

export function AttentionTab({ model }: TabProps) {
  const { t } = useI18n();
  const [text, setText] = useShared<string>("text", t("lens.attention.example"));
  const [chat, setChat] = useShared("chat", false);
  const [layer, setLayer] = useShared("layer", 0);
  const [head, setHead] = useShared("head", 0);
  const [lookFrom, setFrom] = useShared("from", 5);
  const [lookTo, setTo] = useShared("to", 0);
  const [picture, setPicture] = useShared<"matrix" | "arcs">("as", "matrix");
  const where = { layer, head: head === AVERAGE ? null : head };
  const look: Look = { from: lookFrom, to: lookTo };
  const asked = { text: useRested(text), chat, model, ...where };
  const view = useView<AttentionOut>("attention", asked, asked.text !== "");
  const all = useView<HeadsOut>("heads", { text: asked.text, chat, model }, asked.text !== "" && view.isSuccess);
  const predict = usePredict<Found>("attention");
  const seen = view.data;
  const last = (seen?.tokens.length ?? 1) - 1;
  const from = Math.min(look.from, last);
  const at = { from, to: Math.min(look.to, from) };
  const choose = (next: Look) => {
    setFrom(next.from);
    setTo(next.to);
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
              scores={all.isPlaceholderData ? [] : (all.data?.scores ?? [])}
              where={where}
              onChoose={(next) => {
                setLayer(next.layer);
                setHead(next.head ?? AVERAGE);
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
                n: predict.data.truth,
              })}
            </Judged>
          )}
        </LessonCard>
      )}
      {seen && (where.head === null || predict.data) && <Looks seen={seen} from={at.from} />}
    </>
  );
}

interface HeadsProps {
  seen: AttentionOut;
  scores: readonly HeadScore[];
  where: { layer: number; head: number | null };
  onChoose: (where: { layer: number; head: number | null }) => void;
}

/** All heads at a glance, each in the colour of what it does most. */
function Heads({ seen, scores, where, onChoose }: HeadsProps) {
  const { t } = useI18n();
  const kindOf = (score: HeadScore) => KINDS.reduce((best, kind) => (score[kind] > score[best] ? kind : best));
  const chosen = scores.find(({ layer, head }) => layer === where.layer && head === where.head);
  return (
    <div data-figure>
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
          ...Array.from({ length: seen.heads }, (_, head) => {
            const score = scores.find((one) => one.layer === layer && one.head === head);
            const kind = score && kindOf(score);
            const place = t("lens.attention.head", { layer, head });
            const name = kind ? `${place}: ${t(`lens.head.${kind}`)} ${(100 * score[kind]).toFixed(0)} %` : place;
            return (
              <button
                key={`${layer}-${head}`}
                type="button"
                data-kind={kind}
                style={{ "--strength": kind ? `${Math.round(score[kind] * 100)}%` : "0%" } as React.CSSProperties}
                aria-label={name}
                title={name}
                aria-pressed={where.layer === layer && where.head === head}
                onClick={() => onChoose({ layer, head })}
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
      {scores.length ? (
        <SaveFigure name={t("lens.attention.heads")} whole />
      ) : (
        <p className={css.hint} role="status">
          {t("lens.attention.counting")}
        </p>
      )}
    </div>
  );
}

const MOST = 8;

/** One token's row of the map as a list: what the picture shows, to be read out as well. */
function Looks({ seen, from }: { seen: AttentionOut; from: number }) {
  const { t } = useI18n();
  const n = seen.tokens.length;
  const weights = useMemo(() => weightsOf(seen.map), [seen.map]);
  const row = Array.from({ length: from + 1 }, (_, to) => ({ to, weight: (weights[from * n + to] ?? 0) / 65535 }));
  const top = row.sort((a, b) => b.weight - a.weight).slice(0, MOST);
  return (
    <LessonCard title={t("lens.attention.looks", { token: inked(seen.tokens[from] ?? "") })} saved>
      <ol className={css.bars}>
        {top.map(({ to, weight }) => (
          <li key={to}>
            <code>
              {to} {inked(seen.tokens[to] ?? "")}
            </code>
            <span className={css.bar}>
              <i style={{ width: `${100 * weight}%` }} />
            </span>
            <b>{(100 * weight).toFixed(1)} %</b>
          </li>
        ))}
      </ol>
    </LessonCard>
  );
}
