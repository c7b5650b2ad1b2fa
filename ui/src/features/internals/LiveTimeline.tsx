import { FileDown, Pause, Play } from "lucide-react";
import { useMemo } from "react";
import { Button } from "@/components/Button";
import { SaveFigure } from "@/components/SaveFigure";
import { Segments } from "@/components/Segments";
import { useI18n } from "@/lib/i18n";
import { fileName, saveAs } from "@/lib/picture";
import { useShared } from "@/lib/shared";
import { KINDS, merged, rowsOf, traceOf, within, workOf, type Bar, type EngineSteps } from "./live";
import { scale, short } from "./scale";
import css from "./Internals.module.css";
import pictures from "./Pictures.module.css";

const [WIDTH, LANE, LEFT, TRACK, AXIS] = [760, 20, 56, 46, 22];
const WINDOWS = ["2", "10", "60"] as const;
const LISTED = 30;
const milliseconds = (microseconds: number) => short(microseconds / 1000);

interface LiveTimelineProps {
  model: string;
  seen: EngineSteps;
  moving: boolean;
  onMove: (moving: boolean) => void;
}

/** A row for each answer, a bar for what it did; below, the steps' tokens and the free blocks on the same clock. */
export function LiveTimeline({ model, seen, moving, onMove }: LiveTimelineProps) {
  const { t } = useI18n();
  const [seconds, setSeconds] = useShared<string>("seconds", "10");
  const steps = useMemo(() => within(seen.steps, Number(seconds)), [seen.steps, seconds]);
  const picture = useMemo(() => {
    const { lanes, bars } = rowsOf(steps);
    const [first, last] = [steps[0]?.start ?? 0, steps.at(-1)?.end ?? 1];
    return { lanes, bars: merged(bars, (last - first) / (WIDTH - LEFT)), first, last };
  }, [steps]);
  const { lanes, bars, first, last } = picture;
  const x = scale([0, (last - first) / 1e6], LEFT, WIDTH - 8, false, 8);
  const at = (time: number) => x.at((time - first) / 1e6);
  const rows = lanes.length * LANE;
  const [work, free] = [rows + 14, rows + TRACK + 34];
  const most = Math.max(1, ...steps.map((step) => workOf(step).read + workOf(step).written));
  const held = Math.max(1, ...steps.map((step) => seen.num_blocks - step.free));
  const said = ({ lane, kind, tokens, steps: count, start, end }: Bar) =>
    t(tokens ? "live.bar" : "live.barWaits", {
      who: lanes[lane]?.label ?? "",
      what: t(`live.kind.${kind}`),
      tokens,
      steps: count,
      ms: milliseconds(end - start),
    });
  return (
    <>
      <div className={css.shelf} data-unsaved>
        <Segments
          label={t("live.window")}
          value={seconds}
          onChange={setSeconds}
          options={WINDOWS.map((value) => ({ value, label: t("live.seconds", { n: value }) }))}
        />
        <Button small icon={moving ? Pause : Play} onClick={() => onMove(!moving)}>
          {t(moving ? "live.pause" : "live.goOn")}
        </Button>
        <Button
          small
          icon={FileDown}
          title={t("live.traceHint")}
          disabled={steps.length === 0}
          onClick={() =>
            saveAs(
              new Blob([traceOf(model, seen.steps, seen.num_blocks)], { type: "application/json" }),
              `${fileName(model)}.trace.json`,
            )
          }
        >
          {t("live.trace")}
        </Button>
      </div>
      {steps.length === 0 ? (
        <p className={css.hint}>{t("live.none")}</p>
      ) : (
        <figure className={`${pictures.figure} ${pictures.timeline}`}>
          <div className={pictures.scrolls} tabIndex={0} role="group" aria-label={t("live.timeline")}>
            <svg viewBox={`0 0 ${WIDTH} ${free + TRACK + AXIS}`} role="img" aria-label={t("live.timeline")}>
              {lanes.map(({ label, name }, index) => (
                <text key={index} x={LEFT - 8} y={index * LANE + LANE / 2} textAnchor="end" dominantBaseline="middle">
                  {label}
                  <title>{name.request}</title>
                </text>
              ))}
              {bars.map((bar, index) => (
                <rect
                  key={index}
                  data-tone={KINDS.indexOf(bar.kind)}
                  x={at(bar.start)}
                  y={bar.lane * LANE + 2}
                  width={Math.max(0.8, at(bar.end) - at(bar.start))}
                  height={LANE - 4}
                >
                  <title>{said(bar)}</title>
                </rect>
              ))}
              <text x={LEFT} y={work}>
                {t("live.perStep", { n: seen.max_batch_tokens })}
              </text>
              {steps.map((step) => {
                const { read, written } = workOf(step);
                const [readHigh, writtenHigh] = [(TRACK - 8) * (read / most), (TRACK - 8) * (written / most)];
                const wide = Math.max(0.8, at(step.end) - at(step.start));
                return (
                  <g key={step.number}>
                    <rect data-tone={0} x={at(step.start)} y={work + TRACK - readHigh} width={wide} height={readHigh} />
                    <rect
                      data-tone={1}
                      x={at(step.start)}
                      y={work + TRACK - readHigh - writtenHigh}
                      width={wide}
                      height={writtenHigh}
                    />
                  </g>
                );
              })}
              <text x={LEFT} y={free}>
                {t("live.heldBlocks", { n: held, all: seen.num_blocks })}
              </text>
              <polyline
                data-tone={4}
                points={steps
                  .flatMap((step) => {
                    const y = free + TRACK - (TRACK - 8) * ((seen.num_blocks - step.free) / held);
                    return [`${at(step.start)},${y}`, `${at(step.end)},${y}`];
                  })
                  .join(" ")}
              />
              {x.ticks.map((tick) => (
                <text key={tick} x={x.at(tick)} y={free + TRACK + 16} textAnchor="middle">
                  {t("live.seconds", { n: short(tick) })}
                </text>
              ))}
            </svg>
          </div>
          <ul className={pictures.legend}>
            {KINDS.map((kind, index) => (
              <li key={kind} data-tone={index}>
                {t(`live.kind.${kind}`)}
              </li>
            ))}
          </ul>
          <p className={pictures.axis}>{t("live.steps", { n: steps.length })}</p>
          <SaveFigure name={t("live.timeline")} />
          <details className={css.numbers}>
            <summary>{t("live.lastSteps")}</summary>
            <div className={css.scrolls}>
              <table className={css.table}>
                <thead>
                  <tr>
                    {(["step", "ms", "answers", "read", "written", "waiting", "free"] as const).map((name) => (
                      <th key={name} scope="col">
                        {t(`live.col.${name}`)}
                      </th>
                    ))}
                  </tr>
                </thead>
                <tbody>
                  {steps
                    .slice(-LISTED)
                    .reverse()
                    .map((step) => (
                      <tr key={step.number}>
                        <td>{step.number}</td>
                        <td>{milliseconds(step.end - step.start)}</td>
                        <td>{step.shares.length}</td>
                        <td>{workOf(step).read}</td>
                        <td>{workOf(step).written}</td>
                        <td>{step.num_waiting}</td>
                        <td>{step.free}</td>
                      </tr>
                    ))}
                </tbody>
              </table>
            </div>
          </details>
        </figure>
      )}
    </>
  );
}
