import { Eye } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/Button";
import { Lesson, LessonCard } from "@/components/Lesson";
import { SaveFigure } from "@/components/SaveFigure";
import { ErrorPanel, Skeleton } from "@/components/states";
import type { components } from "@/lib/api.gen";
import { bytes, number } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import { useShared } from "@/lib/shared";
import { useArchitecture, usePredict, useWeights, type Architecture, type Kind } from "./api";
import { Judged, OtherModel, type TabProps } from "./Lesson";
import css from "./Lens.module.css";
import pictures from "./Pictures.module.css";

type Truth = components["schemas"]["ShareTruth"];
const KINDS: readonly Kind[] = ["embedding", "attention", "feedforward", "norm", "output"];

export function ArchitectureTab({ model, models }: TabProps) {
  const { t } = useI18n();
  const [guess, setGuess] = useState<Record<Kind, number>>({
    embedding: 20,
    attention: 20,
    feedforward: 20,
    norm: 20,
    output: 20,
  });
  const [other, setOther] = useShared("beside", "");
  const predict = usePredict<Truth>("architecture");
  const mine = useArchitecture(model);
  const theirs = useArchitecture(other);
  const sum = KINDS.reduce((all, kind) => all + guess[kind], 0);
  return (
    <>
      <Lesson title={t("lens.architecture.title")} text={t("lens.architecture.lesson")} />
      <LessonCard title={t("lens.architecture.guess")} hint={t("lens.architecture.guessHint")}>
        {KINDS.map((kind) => (
          <label key={kind} className={css.slider}>
            <span>
              <i data-part={kind} /> {t(`lens.part.${kind}`)} <b>{guess[kind]} %</b>
            </span>
            <input
              type="range"
              min={0}
              max={100}
              value={guess[kind]}
              onChange={(event) => setGuess({ ...guess, [kind]: Number(event.target.value) })}
            />
          </label>
        ))}
        <div className={css.row}>
          <Button
            tone="primary"
            icon={Eye}
            busy={predict.isPending}
            onClick={() => predict.mutate({ model, shares: guess })}
          >
            {t("lens.see")}
          </Button>
          <span className={css.hint}>{t("lens.architecture.sum", { n: sum })}</span>
        </div>
        {predict.error && <ErrorPanel error={predict.error} />}
        {predict.data && (
          <Judged passed={predict.data.passed} task="1.4">
            {t("lens.architecture.judged", { n: Math.max(...Object.values(predict.data.off)).toFixed(1) })}
          </Judged>
        )}
      </LessonCard>
      {predict.data && (
        <>
          {mine.error && <ErrorPanel error={mine.error} />}
          {mine.isPending && <Skeleton lines={4} height={32} />}
          {mine.data && <Parts seen={mine.data} />}
          <OtherModel
            label={t("lens.architecture.beside")}
            model={model}
            models={models}
            value={other}
            onChange={setOther}
          />
          {theirs.error && <ErrorPanel error={theirs.error} />}
          {other && theirs.data && <Parts seen={theirs.data} />}
        </>
      )}
    </>
  );
}

function Parts({ seen }: { seen: Architecture }) {
  const { t, lang } = useI18n();
  const [open, setOpen] = useState<Kind | null>(null);
  const [layer, setLayer] = useState(0);
  const part = seen.parts.find(({ kind }) => kind === open);
  return (
    <LessonCard
      title={seen.model}
      hint={t("lens.architecture.shape", {
        layers: seen.layers,
        hidden: seen.hidden,
        heads: seen.heads,
        kv: seen.kv_heads,
        vocabulary: number(seen.vocabulary, lang),
      })}
      saved
    >
      <Plan seen={seen} open={open} layer={layer} onLayer={setLayer} onOpen={setOpen} />
      <div className={css.stack} aria-hidden>
        {seen.parts.map(({ kind, share }) => (
          <i key={kind} data-part={kind} style={{ width: `${share}%` }} />
        ))}
      </div>
      <div className={css.scrolls}>
        <table className={css.table}>
          <thead>
            <tr>
              <th scope="col">{t("lens.architecture.part")}</th>
              <th scope="col">{t("lens.architecture.parameters")}</th>
              <th scope="col">{t("lens.architecture.memory")}</th>
              <th scope="col">{t("lens.architecture.flops")}</th>
            </tr>
          </thead>
          <tbody>
            {seen.parts.map((one) => (
              <tr key={one.kind}>
                <td>
                  <button
                    type="button"
                    className={css.link}
                    aria-expanded={open === one.kind}
                    onClick={() => setOpen(open === one.kind ? null : one.kind)}
                  >
                    <i data-part={one.kind} /> {t(`lens.part.${one.kind}`)}
                  </button>
                </td>
                <td>
                  {number(one.parameters, lang)} · {one.share.toFixed(1)} %
                </td>
                <td>{bytes(one.bytes)}</td>
                <td>{number(one.flops, lang)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className={css.hint}>
        {t("lens.architecture.whole", {
          parameters: number(seen.parameters, lang),
          memory: bytes(seen.bytes),
          kv: bytes(seen.kv_bytes),
        })}
      </p>
      {part && <Opened key={`${part.kind}-${layer}`} seen={seen} part={part} layer={layer} />}
    </LessonCard>
  );
}

const FLOW = ["norm", "attention", "norm", "feedforward"] as const;

interface PlanProps {
  seen: Architecture;
  open: Kind | null;
  layer: number;
  onLayer: (layer: number) => void;
  onOpen: (kind: Kind | null) => void;
}

/** The model from top to bottom, as its own configuration says: one block is shown, the slider says which of them. */
function Plan({ seen, open, layer, onLayer, onOpen }: PlanProps) {
  const { t, lang } = useI18n();
  const inBlock = (kind: Kind) => seen.tensors.filter((tensor) => tensor.kind === kind && tensor.layer === layer);
  const box = (kind: Kind, key: string, note: string) => (
    <button
      key={key}
      type="button"
      data-part={kind}
      aria-pressed={open === kind}
      onClick={() => onOpen(open === kind ? null : kind)}
    >
      <i data-part={kind} /> {t(`lens.part.${kind}`)} <small>{note}</small>
    </button>
  );
  const count = (kind: Kind) => seen.parts.find((one) => one.kind === kind)?.parameters ?? 0;
  const sum = (kind: Kind) => inBlock(kind).reduce((all, tensor) => all + tensor.parameters, 0);
  return (
    <div className={pictures.plan}>
      {box("embedding", "in", `${number(seen.vocabulary, lang)} × ${seen.hidden}`)}
      <div
        className={pictures.block}
        role="group"
        aria-label={t("lens.plan.block", { n: layer + 1, all: seen.layers })}
      >
        <label className={css.slider}>
          <span>{t("lens.plan.block", { n: layer + 1, all: seen.layers })}</span>
          <input
            type="range"
            min={0}
            max={seen.layers - 1}
            value={layer}
            onChange={(event) => onLayer(Number(event.target.value))}
          />
        </label>
        {FLOW.map((kind, index) =>
          box(
            kind,
            String(index),
            kind === "norm"
              ? String(seen.hidden)
              : t("lens.plan.numbers", { n: number(sum(kind), lang), shapes: shapesOf(inBlock(kind)) }),
          ),
        )}
      </div>
      {box("norm", "last", String(seen.hidden))}
      {seen.tied ? (
        <p className={css.hint}>{t("lens.plan.tied")}</p>
      ) : (
        box(
          "output",
          "out",
          t("lens.plan.numbers", { n: number(count("output"), lang), shapes: `${seen.vocabulary} × ${seen.hidden}` }),
        )
      )}
    </div>
  );
}

const shapesOf = (tensors: Architecture["tensors"]) =>
  tensors
    .filter(({ shape }) => shape.length > 1)
    .map(({ shape }) => shape.join("×"))
    .join(", ");

interface OpenedProps {
  seen: Architecture;
  part: Architecture["parts"][number];
  layer: number;
}

function Opened({ seen, part, layer }: OpenedProps) {
  const { t } = useI18n();
  const tensors = seen.tensors.filter(({ kind }) => kind === part.kind);
  const first = tensors.find((tensor) => tensor.layer === layer) ?? tensors[0];
  const [name, setName] = useState(first?.name ?? "");
  const chosen = tensors.some((tensor) => tensor.name === name) ? name : (tensors[0]?.name ?? "");
  return (
    <div className={css.opened}>
      {chosen && (
        <label className={css.model}>
          <span>{t("lens.architecture.tensor")}</span>
          <select value={chosen} onChange={(event) => setName(event.target.value)}>
            {tensors.map((tensor) => (
              <option key={tensor.name} value={tensor.name}>
                {tensor.name} [{tensor.shape.join(" × ")}]
              </option>
            ))}
          </select>
        </label>
      )}
      {chosen && <Spread model={seen.model} name={chosen} />}
      <details>
        <summary>
          {t("lens.architecture.source")} <code>{`${part.file}:${part.line}`}</code>
        </summary>
        <pre className={css.source}>{part.source}</pre>
      </details>
    </div>
  );
}

function Spread({ model, name }: { model: string; name: string }) {
  const { t } = useI18n();
  const spread = useWeights(model, name).data;
  if (!spread) return <Skeleton lines={2} height={40} />;
  const most = Math.max(...spread.counts, 1);
  const width = 600 / spread.counts.length;
  return (
    <figure data-figure>
      <svg viewBox="0 0 600 110" className={pictures.plot} role="img" aria-label={t("lens.architecture.spread")}>
        {spread.counts.map((count, index) => (
          <rect
            key={index}
            x={index * width}
            width={width - 1}
            y={110 - (110 * count) / most}
            height={(110 * count) / most}
          />
        ))}
      </svg>
      <figcaption className={pictures.axis}>
        <span>{spread.low.toFixed(2)}</span>
        <span>
          {t("lens.architecture.deviation", { mean: spread.mean.toFixed(4), n: spread.deviation.toFixed(4) })}
        </span>
        <span>{spread.high.toFixed(2)}</span>
      </figcaption>
      <SaveFigure name={name} />
    </figure>
  );
}
