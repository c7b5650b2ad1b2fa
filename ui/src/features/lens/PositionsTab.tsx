import { Eye } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/Button";
import { Field } from "@/components/Field";
import { Lesson, LessonCard } from "@/components/Lesson";
import { SaveFigure } from "@/components/SaveFigure";
import { Segments } from "@/components/Segments";
import { ErrorPanel, Skeleton } from "@/components/states";
import type { components } from "@/lib/api.gen";
import { number } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import { useShared } from "@/lib/shared";
import { usePredict, useRested, useView, type OrderOut, type StretchOut } from "./api";
import { inked, Judged, type TabProps } from "./Lesson";
import { pathOf } from "./weights";
import css from "./Lens.module.css";
import pictures from "./Pictures.module.css";

type Truth = components["schemas"]["OrderTruth"];
type Spot = "query" | "key" | "to";
const SPOTS: readonly Spot[] = ["query", "key", "to"];
const DIALS = 6;

export function PositionsTab({ model }: TabProps) {
  const { t } = useI18n();
  const [text, setText] = useShared<string>("text", t("lens.positions.example"));
  const [query, setQuery] = useShared("query", 6);
  const [key, setKey] = useShared("key", 2);
  const [to, setTo] = useShared("to", 4);
  const [head, setHead] = useShared("head", 0);
  const [factor, setFactor] = useShared("divide", 4);
  const spots: Record<Spot, number> = { query, key, to };
  const set = { query: setQuery, key: setKey, to: setTo };
  const [higher, setHigher] = useState<"first" | "second">("first");
  const [without, setWithout] = useState<"same" | "changes">("changes");
  const asked = { text: useRested(text), model, head, factor: useRested(factor), ...spots };
  const view = useView<OrderOut>("positions", asked);
  const predict = usePredict<Truth>("positions");
  const seen = view.data;
  const change = (spot: Spot, place: number) => {
    set[spot](place);
    predict.reset();
  };
  return (
    <>
      <Lesson title={t("lens.positions.title")} text={t("lens.positions.lesson")} />
      <LessonCard title={t("lens.positions.words")} hint={t("lens.positions.wordsHint")}>
        <Field label={t("lens.text")}>
          {(props) => (
            <textarea
              {...props}
              rows={2}
              value={text}
              onChange={(event) => {
                setText(event.target.value);
                predict.reset();
              }}
            />
          )}
        </Field>
        <div className={css.row}>
          {SPOTS.map((spot) => (
            <label key={spot} className={css.model}>
              <span>{t(`lens.positions.${spot}`)}</span>
              <select value={spots[spot]} onChange={(event) => change(spot, Number(event.target.value))}>
                {(seen?.tokens ?? []).map((token, index) => (
                  <option key={index} value={index} disabled={spot !== "query" && index >= spots.query}>
                    {index} {inked(token)}
                  </option>
                ))}
              </select>
            </label>
          ))}
          <label className={css.model}>
            <span>{t("lens.headNumber")}</span>
            <select
              value={head}
              onChange={(event) => {
                setHead(Number(event.target.value));
                predict.reset();
              }}
            >
              {Array.from({ length: seen?.heads ?? 1 }, (_, index) => (
                <option key={index}>{index}</option>
              ))}
            </select>
          </label>
        </div>
        {view.error && <ErrorPanel error={view.error} />}
        {seen?.orders.map((order, index) => (
          <p key={index} className={pictures.order}>
            <b>{t(index ? "lens.positions.second" : "lens.positions.first")}</b>
            {order.words.map((word, place) => (
              <span
                key={place}
                data-spot={place === spots.query ? "query" : place === spots.query - order.distance ? "key" : undefined}
              >
                {inked(word)}
              </span>
            ))}
          </p>
        ))}
        <div className={css.row}>
          <span>{t("lens.positions.which")}</span>
          <Segments
            label={t("lens.positions.which")}
            value={higher}
            onChange={setHigher}
            options={[
              { value: "first", label: t("lens.positions.first") },
              { value: "second", label: t("lens.positions.second") },
            ]}
          />
        </div>
        <div className={css.row}>
          <span>{t("lens.positions.without")}</span>
          <Segments
            label={t("lens.positions.without")}
            value={without}
            onChange={setWithout}
            options={[
              { value: "changes", label: t("lens.positions.changes") },
              { value: "same", label: t("lens.positions.same") },
            ]}
          />
        </div>
        <Button
          tone="primary"
          icon={Eye}
          busy={predict.isPending}
          onClick={() => predict.mutate({ ...asked, higher, without })}
        >
          {t("lens.see")}
        </Button>
        {predict.error && <ErrorPanel error={predict.error} />}
        {predict.data && (
          <>
            <Judged passed={predict.data.passed} task="1.3">
              {t("lens.positions.judged", {
                order: t(predict.data.higher === "first" ? "lens.positions.first" : "lens.positions.second"),
              })}
            </Judged>
            <Scores seen={predict.data.seen} />
          </>
        )}
      </LessonCard>
      {seen && <Curves seen={seen} factor={factor} onFactor={setFactor} />}
      {seen && <Dials seen={seen} />}
      <Stretch model={model} />
    </>
  );
}

function Scores({ seen }: { seen: OrderOut }) {
  const { t } = useI18n();
  return (
    <div data-figure>
      <table className={css.table}>
        <thead>
          <tr>
            <th scope="col">{t("lens.positions.order")}</th>
            <th scope="col">{t("lens.positions.distance")}</th>
            <th scope="col">RoPE</th>
            <th scope="col">{t("lens.positions.none")}</th>
            <th scope="col">{t("lens.positions.sinusoidal")}</th>
          </tr>
        </thead>
        <tbody>
          {seen.orders.map((order, index) => (
            <tr key={index}>
              <td>{t(index ? "lens.positions.second" : "lens.positions.first")}</td>
              <td>{order.distance}</td>
              <td>{order.rope.toFixed(3)}</td>
              <td>{order.without.toFixed(3)}</td>
              <td>{order.sinusoidal.toFixed(3)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <SaveFigure name={t("lens.positions.words")} whole />
    </div>
  );
}

function Curves({ seen, factor, onFactor }: { seen: OrderOut; factor: number; onFactor: (factor: number) => void }) {
  const { t } = useI18n();
  const all = [...seen.rope, ...seen.scaled];
  const range = [Math.min(...all), Math.max(...all)] as const;
  const size = [600, 180] as const;
  return (
    <LessonCard title={t("lens.positions.curve")} hint={t("lens.positions.curveHint")} saved>
      <svg viewBox="0 0 600 180" className={pictures.plot} role="img" aria-label={t("lens.positions.curve")}>
        <path d={pathOf(seen.distances, seen.sinusoidal, size, [-1, 1])} data-line="old" />
        <path d={pathOf(seen.distances, seen.scaled, size, range)} data-line="scaled" />
        <path d={pathOf(seen.distances, seen.rope, size, range)} data-line="rope" />
      </svg>
      <p className={pictures.axis}>
        <span>{t("lens.positions.near")}</span>
        <span>{t("lens.positions.far", { n: seen.distances.at(-1) ?? 0 })}</span>
      </p>
      <ul className={css.legend}>
        <li data-line="rope">RoPE</li>
        <li data-line="scaled">{t("lens.positions.scaled", { n: factor })}</li>
        <li data-line="old">{t("lens.positions.sinusoidal")}</li>
      </ul>
      <label className={css.slider}>
        <span>{t("lens.positions.factor", { n: factor })}</span>
        <input
          type="range"
          min={1}
          max={16}
          value={factor}
          onChange={(event) => onFactor(Number(event.target.value))}
        />
      </label>
    </LessonCard>
  );
}

/** Some of the pairs as hands of a clock: fast ones tell neighbours apart, slow ones far from near. */
function Dials({ seen }: { seen: OrderOut }) {
  const { t, lang } = useI18n();
  const [distance, setDistance] = useShared("apart", 3);
  const step = Math.max(1, Math.floor((seen.pairs.length - 1) / (DIALS - 1)));
  const shown = seen.pairs
    .map((pair, index) => ({ pair, index }))
    .filter(({ index }) => index % step === 0)
    .slice(0, DIALS);
  return (
    <LessonCard title={t("lens.positions.dials")} hint={t("lens.positions.dialsHint")} saved>
      <label className={css.slider}>
        <span>{t("lens.positions.apart", { n: distance })}</span>
        <input
          type="range"
          min={0}
          max={128}
          value={distance}
          onChange={(event) => setDistance(Number(event.target.value))}
        />
      </label>
      <div className={pictures.dials}>
        {shown.map(({ pair, index }) => {
          const angle = pair.radians * distance;
          return (
            <figure key={index}>
              <svg
                viewBox="-50 -50 100 100"
                role="img"
                aria-label={t("lens.positions.dial", { n: index, turn: number(pair.turn, lang, 0) })}
              >
                <circle r={44} />
                <line x2={0} y2={-40} data-hand="still" />
                <line x2={40 * Math.sin(angle)} y2={-40 * Math.cos(angle)} data-hand="turned" />
              </svg>
              <figcaption>
                {t("lens.positions.turn", { n: number(pair.turn, lang, pair.turn < 100 ? 1 : 0) })}
              </figcaption>
            </figure>
          );
        })}
      </div>
    </LessonCard>
  );
}

/** How surprised the model is by the text when its positions are squeezed or stretched: where the trick for longer texts breaks. */
function Stretch({ model }: { model: string }) {
  const { t, lang } = useI18n();
  const [written, setWritten] = useShared<string>("read", t("lens.stretch.example"));
  const text = useRested(written);
  const view = useView<StretchOut>("stretch", { text, model }, text !== "");
  const seen = view.error ? undefined : view.data;
  const most = Math.max(1, seen?.chance ?? 0, ...(seen?.at ?? []).map(({ surprise }) => surprise));
  const name = (spacing: number) =>
    spacing === 1
      ? t("lens.stretch.plain")
      : spacing < 1
        ? t("lens.positions.scaled", { n: 1 / spacing })
        : t("lens.stretch.times", { n: spacing });
  return (
    <LessonCard title={t("lens.stretch.title")} hint={t("lens.stretch.hint")} saved>
      <Field label={t("lens.text")}>
        {(props) => (
          <textarea {...props} rows={2} value={written} onChange={(event) => setWritten(event.target.value)} />
        )}
      </Field>
      {view.error && <ErrorPanel error={view.error} />}
      {view.isPending && text !== "" && <Skeleton lines={5} height={20} />}
      <ol className={css.bars}>
        {(seen?.at ?? []).map((one) => (
          <li key={one.spacing}>
            <span>{name(one.spacing)}</span>
            <span className={css.bar} data-second={one.spacing !== 1 || undefined}>
              <i style={{ width: `${(100 * one.surprise) / most}%` }} />
            </span>
            <b>{t("lens.stretch.bits", { n: number(one.surprise, lang, 1) })}</b>
          </li>
        ))}
      </ol>
      {seen && (
        <p className={css.hint}>{t("lens.stretch.chance", { n: number(seen.chance, lang, 1), tokens: seen.tokens })}</p>
      )}
    </LessonCard>
  );
}
