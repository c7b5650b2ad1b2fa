import { useEffect, useMemo, useRef, useState } from "react";
import { SaveFigure } from "@/components/SaveFigure";
import { useI18n } from "@/lib/i18n";
import type { AttentionOut } from "./api";
import { inked } from "./Lesson";
import { weightsOf } from "./weights";
import css from "./Lens.module.css";
import pictures from "./Pictures.module.css";

const LEAST = 3;
const MOST_ARCS = 72;
const LINE = 22;
/** From this size of a cell on there is room to write its token beside it. */
const WRITTEN = 13;
const MARGIN = 84;
const MOST_LETTERS = 10;

export interface Look {
  from: number;
  to: number;
}

/** The weights as a picture: a row is the token that looks, a column what it looks at. Drawn on a canvas, since a million cells are too many elements. */
export function Matrix({ seen, at, onChoose }: { seen: AttentionOut; at: Look; onChoose: (look: Look) => void }) {
  const { t } = useI18n();
  const canvas = useRef<HTMLCanvasElement>(null);
  const weights = useMemo(() => weightsOf(seen.map), [seen.map]);
  const [over, setOver] = useState<Look | null>(null);
  const n = seen.tokens.length;
  const cell = Math.max(LEAST, Math.min(26, Math.floor(520 / n)));
  const margin = cell >= WRITTEN ? MARGIN : 0;
  useEffect(() => {
    const pen = canvas.current?.getContext("2d");
    if (!pen) return;
    const style = getComputedStyle(document.documentElement);
    const [ink, rest] = [style.getPropertyValue("--pine"), style.getPropertyValue("--sunken")];
    pen.clearRect(0, 0, n * cell + margin, n * cell);
    const gap = cell > 8 ? 1 : 0;
    for (let row = 0; row < n; row++) {
      for (let column = 0; column <= row; column++) {
        pen.globalAlpha = 1;
        pen.fillStyle = rest;
        pen.fillRect(column * cell, row * cell, cell - gap, cell - gap);
        // The root makes small weights visible; the number beside says what they are.
        pen.globalAlpha = Math.sqrt((weights[row * n + column] ?? 0) / 65535);
        pen.fillStyle = ink;
        pen.fillRect(column * cell, row * cell, cell - gap, cell - gap);
      }
    }
    pen.globalAlpha = 1;
    if (margin) {
      pen.font = `12px ${style.getPropertyValue("--font-mono")}`;
      pen.textBaseline = "middle";
      seen.tokens.forEach((token, row) => {
        const isAt = row === at.from || row === at.to;
        pen.fillStyle = style.getPropertyValue(isAt ? "--blaze" : "--ink-2");
        const letters = [...inked(token)];
        const word =
          letters.length > MOST_LETTERS ? `${letters.slice(0, MOST_LETTERS - 1).join("")}…` : letters.join("");
        pen.fillText(word, (row + 1) * cell + 5, row * cell + cell / 2);
      });
    }
    pen.strokeStyle = style.getPropertyValue("--blaze");
    pen.lineWidth = 2;
    pen.strokeRect(at.to * cell, at.from * cell, cell - gap, cell - gap);
  }, [weights, n, cell, margin, at, seen.tokens]);
  const place = (event: React.MouseEvent): Look | null => {
    const box = canvas.current?.getBoundingClientRect();
    if (!box) return null;
    const from = Math.min(n - 1, Math.floor(((event.clientY - box.top) / box.height) * n));
    const to = Math.min(n - 1, Math.floor(((event.clientX - box.left) / box.height) * n));
    return to <= from ? { from, to } : null;
  };
  const keys: Record<string, [number, number]> = {
    ArrowUp: [-1, 0],
    ArrowDown: [1, 0],
    ArrowLeft: [0, -1],
    ArrowRight: [0, 1],
  };
  const told = over ?? at;
  const weight = (weights[told.from * n + told.to] ?? 0) / 65535;
  return (
    <figure className={pictures.matrix}>
      <div className={css.scrolls}>
        <canvas
          ref={canvas}
          width={n * cell + margin}
          height={n * cell}
          tabIndex={0}
          role="img"
          aria-label={t("lens.attention.matrix")}
          onMouseMove={(event) => setOver(place(event))}
          onMouseLeave={() => setOver(null)}
          onClick={(event) => {
            const look = place(event);
            if (look) onChoose(look);
          }}
          onKeyDown={(event) => {
            const move = keys[event.key];
            if (!move) return;
            event.preventDefault();
            const from = Math.max(0, Math.min(n - 1, at.from + move[0]));
            onChoose({ from, to: Math.max(0, Math.min(from, at.to + move[1])) });
          }}
        />
      </div>
      <figcaption aria-live="polite">
        <code>{inked(seen.tokens[told.from] ?? "")}</code> → <code>{inked(seen.tokens[told.to] ?? "")}</code>{" "}
        <b>{(100 * weight).toFixed(1)} %</b>
      </figcaption>
      <SaveFigure name={t("lens.attention.matrix")} only="png" />
    </figure>
  );
}

/** The same as lines from the tokens that look to what they look at; those of the chosen token stand out. */
export function Arcs({ seen, at, onChoose }: { seen: AttentionOut; at: Look; onChoose: (look: Look) => void }) {
  const { t } = useI18n();
  const weights = useMemo(() => weightsOf(seen.map), [seen.map]);
  const n = seen.tokens.length;
  if (n > MOST_ARCS) return <p className={css.hint}>{t("lens.attention.tooMany", { n: MOST_ARCS })}</p>;
  const lines = [];
  for (let from = 0; from < n; from++)
    for (let to = 0; to <= from; to++) {
      const weight = (weights[from * n + to] ?? 0) / 65535;
      if (weight > 0.03) lines.push({ from, to, weight });
    }
  const y = (index: number) => index * LINE + LINE / 2;
  return (
    <div data-figure>
      <svg viewBox={`0 0 360 ${n * LINE}`} className={pictures.arcs} role="img" aria-label={t("lens.attention.arcs")}>
        {lines.map(({ from, to, weight }) => (
          <path
            key={`${from}-${to}`}
            d={`M128 ${y(from)}C180 ${y(from)} 180 ${y(to)} 232 ${y(to)}`}
            data-chosen={from === at.from || undefined}
            style={{
              opacity: weight * (from === at.from ? 1 : 0.35),
              strokeWidth: from === at.from ? 1 + 3 * weight : 1,
            }}
          />
        ))}
        {seen.tokens.map((token, index) => (
          <g
            key={index}
            onClick={() => onChoose({ from: index, to: Math.min(at.to, index) })}
            data-chosen={index === at.from || undefined}
          >
            <text x={122} y={y(index)} textAnchor="end">
              {inked(token)}
            </text>
            <text x={238} y={y(index)}>
              {inked(token)}
            </text>
          </g>
        ))}
      </svg>
      <SaveFigure name={t("lens.attention.arcs")} />
    </div>
  );
}
