import { Eye } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/Button";
import { Field } from "@/components/Field";
import { Lesson, LessonCard } from "@/components/Lesson";
import { ErrorPanel } from "@/components/states";
import { number } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import { useShared } from "@/lib/shared";
import type { components } from "@/lib/api.gen";
import { useLanguages, usePredict, useView, type TokensOut } from "./api";
import { inked, Judged, OtherModel, type TabProps } from "./Lesson";
import css from "./Lens.module.css";

type Guess = components["schemas"]["Guess"];
const MOST = 160;

export function TokensTab({ model, models }: TabProps) {
  const { t } = useI18n();
  const [text, setText] = useShared<string>("text", t("lens.tokens.example"));
  const [cuts, setCuts] = useState<ReadonlySet<number>>(new Set());
  const [seen, setSeen] = useState(false);
  const predict = usePredict<Guess>("tokens");
  const write = (next: string) => {
    setText(next.slice(0, MOST));
    setCuts(new Set());
    setSeen(false);
    predict.reset();
  };
  const toggle = (place: number) =>
    setCuts((old) => new Set([...old].filter((one) => one !== place).concat(old.has(place) ? [] : place)));
  const see = () => predict.mutate({ text, model, cuts: [...cuts] }, { onSettled: () => setSeen(true) });
  return (
    <>
      <Lesson title={t("lens.tokens.title")} text={t("lens.tokens.lesson")} />
      <LessonCard title={t("lens.tokens.guess")} hint={t("lens.tokens.guessHint")}>
        <Field label={t("lens.text")}>
          {(props) => <textarea {...props} rows={2} value={text} onChange={(event) => write(event.target.value)} />}
        </Field>
        <div className={css.letters} role="group" aria-label={t("lens.tokens.guess")}>
          {[...text].map((letter, index, all) => {
            const place = all.slice(0, index).length;
            return (
              <button
                key={place}
                type="button"
                disabled={place === 0 || seen}
                aria-pressed={cuts.has(place)}
                aria-label={t("lens.tokens.cutBefore", { letter })}
                onClick={() => toggle(place)}
              >
                {inked(letter)}
              </button>
            );
          })}
        </div>
        <div className={css.row}>
          <Button tone="primary" icon={Eye} busy={predict.isPending} disabled={!text || seen} onClick={see}>
            {t("lens.see")}
          </Button>
          <span className={css.hint}>{t("lens.tokens.yours", { n: cuts.size + 1 })}</span>
        </div>
        {predict.error && <ErrorPanel error={predict.error} />}
        {predict.data && (
          <Judged passed={predict.data.passed} task="1.1">
            {t("lens.tokens.judged", {
              right: predict.data.right,
              all: predict.data.true_cuts.length,
              truth: predict.data.truth,
              count: predict.data.count,
            })}{" "}
            {!predict.data.passed && t("lens.tokens.again")}
          </Judged>
        )}
      </LessonCard>
      {seen && <Revealed text={text} model={model} models={models} />}
    </>
  );
}

function Revealed({ text, model, models }: { text: string } & TabProps) {
  const { t } = useI18n();
  const [other, setOther] = useShared("beside", "");
  const mine = useView<TokensOut>("tokens", { text, model });
  const theirs = useView<TokensOut>("tokens", { text, model: other }, other !== "");
  return (
    <>
      <LessonCard title={t("lens.tokens.real")} hint={t("lens.tokens.realHint")} saved>
        {mine.error && <ErrorPanel error={mine.error} />}
        {mine.data && <TokenRow seen={mine.data} />}
        <OtherModel label={t("lens.tokens.beside")} model={model} models={models} value={other} onChange={setOther} />
        {theirs.error && <ErrorPanel error={theirs.error} />}
        {other && theirs.data && <TokenRow seen={theirs.data} />}
      </LessonCard>
      {mine.data && mine.data.merges.length > 0 && <Merges seen={mine.data} />}
      <Languages model={model} other={other} />
    </>
  );
}

function TokenRow({ seen }: { seen: TokensOut }) {
  const { t, lang } = useI18n();
  const [at, setAt] = useState(0);
  const token = seen.tokens[at];
  return (
    <div className={css.tokenBlock}>
      <p className={css.figures}>
        <b>{seen.model}</b>{" "}
        {t("lens.tokens.counts", { tokens: seen.tokens.length, characters: seen.characters, bytes: seen.bytes })}{" "}
        <b>{t("lens.tokens.each", { n: number(seen.characters / seen.tokens.length, lang, 2) })}</b>
      </p>
      <div className={css.tokens}>
        {seen.tokens.map((one, index) => (
          <button
            key={index}
            type="button"
            data-shade={index % 5}
            data-special={one.special || undefined}
            aria-pressed={index === at}
            onClick={() => setAt(index)}
          >
            <span>{inked(one.text)}</span>
            <small>{one.id}</small>
          </button>
        ))}
      </div>
      {token && (
        <p className={css.hint} aria-live="polite">
          {t("lens.tokens.detail", { id: token.id, vocabulary: number(seen.vocabulary, lang), hex: token.hex })}
        </p>
      )}
    </div>
  );
}

function Merges({ seen }: { seen: TokensOut }) {
  const { t } = useI18n();
  // The piece that grows most is shown first: of a single letter there is nothing to see.
  const richest = seen.merges.reduce(
    (best, one, index, all) => (one.steps.length > (all[best]?.steps.length ?? 0) ? index : best),
    0,
  );
  const [chosen, setPiece] = useState<number | null>(null);
  const piece = chosen ?? richest;
  const [step, setStep] = useState(0);
  const steps = seen.merges[piece]?.steps ?? [];
  const now = steps[Math.min(step, steps.length - 1)] ?? [];
  return (
    <LessonCard title={t("lens.tokens.merges")} hint={t("lens.tokens.mergesHint")} saved>
      <div className={css.chips} role="group" aria-label={t("lens.tokens.merges")}>
        {seen.merges.map((one, index) => (
          <button
            key={index}
            type="button"
            aria-pressed={index === piece}
            onClick={() => {
              setPiece(index);
              setStep(0);
            }}
          >
            {inked(one.steps.at(-1)?.join("") ?? one.piece)}
          </button>
        ))}
      </div>
      <div className={css.merge}>
        {now.map((part, index) => (
          <span key={index}>{inked(part)}</span>
        ))}
      </div>
      <label className={css.slider}>
        <span>
          {t("lens.tokens.step", { n: Math.min(step, steps.length - 1), all: Math.max(0, steps.length - 1) })}
        </span>
        <input
          type="range"
          min={0}
          max={Math.max(0, steps.length - 1)}
          value={step}
          onChange={(event) => setStep(Number(event.target.value))}
        />
      </label>
    </LessonCard>
  );
}

/** The same message in eleven languages: what each costs with this tokenizer, and with the one beside it. */
function Languages({ model, other }: { model: string; other: string }) {
  const { t, lang } = useI18n();
  const mine = useLanguages(model);
  const theirs = useLanguages(other);
  const beside = (language: string) => theirs.data?.languages.find((one) => one.language === language);
  const rows = mine.data?.languages ?? [];
  const most = Math.max(1, ...[...rows, ...(theirs.data?.languages ?? [])].map(({ tokens }) => tokens));
  if (mine.error) return <ErrorPanel error={mine.error} />;
  return (
    <LessonCard title={t("lens.tokens.languages")} hint={t("lens.tokens.languagesHint")} saved>
      <ol className={css.bars}>
        {rows.map((one) => (
          <li key={one.language} title={one.text}>
            <span lang={one.language}>{one.name}</span>
            <span className={css.twoBars}>
              {[one, beside(one.language)].map(
                (cost, index) =>
                  cost && (
                    <span key={index} className={css.bar} data-second={index === 1 || undefined}>
                      <i style={{ width: `${(100 * cost.tokens) / most}%` }} />
                    </span>
                  ),
              )}
            </span>
            <b>
              {one.tokens}
              {beside(one.language) && ` / ${beside(one.language)?.tokens}`}
            </b>
          </li>
        ))}
      </ol>
      {rows[0] && (
        <p className={css.hint}>
          {t("lens.tokens.dearest", {
            cheap: rows[0].name,
            dear: rows.at(-1)?.name ?? "",
            times: number((rows.at(-1)?.tokens ?? 1) / rows[0].tokens, lang, 1),
            low: number(Math.min(...rows.map(({ compression }) => compression)), lang, 1),
            high: number(Math.max(...rows.map(({ compression }) => compression)), lang, 1),
          })}
        </p>
      )}
    </LessonCard>
  );
}
