import { SaveFigure } from "@/components/SaveFigure";
import { useI18n } from "@/lib/i18n";
import type { Chart } from "./api";
import { scale, short } from "./scale";
import css from "./Internals.module.css";
import pictures from "./Pictures.module.css";

const [WIDTH, HEIGHT] = [640, 300];
const EDGE = { left: 56, right: 12, top: 12, bottom: 40 };
const DOTS = 40;

/** Lines with axes; the same numbers stand below as a table, for who cannot see lines. */
export function ChartView({ chart }: { chart: Chart }) {
  const { t, say } = useI18n();
  const log = chart.log ?? false;
  const x = scale(
    chart.series.flatMap(({ xs }) => xs),
    EDGE.left,
    WIDTH - EDGE.right,
    log,
  );
  const y = scale(
    chart.series.flatMap(({ ys }) => ys),
    HEIGHT - EDGE.bottom,
    EDGE.top,
    log,
    5,
  );
  return (
    <figure className={pictures.figure}>
      <figcaption>{say(chart.title)}</figcaption>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} className={pictures.chart} role="img" aria-label={say(chart.title)}>
        {y.ticks.map((tick) => (
          <g key={tick} transform={`translate(0 ${y.at(tick)})`}>
            <line x1={EDGE.left} x2={WIDTH - EDGE.right} data-grid />
            <text x={EDGE.left - 8} textAnchor="end" dominantBaseline="middle">
              {short(tick)}
            </text>
          </g>
        ))}
        {x.ticks.map((tick) => (
          <text key={tick} x={x.at(tick)} y={HEIGHT - EDGE.bottom + 18} textAnchor="middle">
            {short(tick)}
          </text>
        ))}
        <text x={WIDTH - EDGE.right} y={HEIGHT - 4} textAnchor="end" data-unit>
          {say(chart.x)}
        </text>
        <text x={EDGE.left} y={HEIGHT - 4} data-unit>
          {say(chart.y)} ↑
        </text>
        {chart.series.map(({ name, xs, ys }, index) => (
          <g key={index} data-tone={index}>
            <polyline points={xs.map((at, place) => `${x.at(at)},${y.at(ys[place] ?? 0)}`).join(" ")} />
            {xs.length <= DOTS &&
              xs.map((at, place) => (
                <circle key={place} cx={x.at(at)} cy={y.at(ys[place] ?? 0)} r={4}>
                  <title>{`${say(name)}: ${short(at)} → ${short(ys[place] ?? 0)}`}</title>
                </circle>
              ))}
          </g>
        ))}
      </svg>
      <ul className={pictures.legend}>
        {chart.series.map(({ name }, index) => (
          <li key={index} data-tone={index}>
            {say(name)}
          </li>
        ))}
      </ul>
      <SaveFigure name={say(chart.title)} />
      <details className={css.numbers}>
        <summary>{t("internals.numbers")}</summary>
        <div className={css.scrolls}>
          <table className={css.table}>
            <tbody>
              <tr>
                <th scope="row">{say(chart.x)}</th>
                {chart.series[0]?.xs.map((value, index) => (
                  <td key={index}>{short(value)}</td>
                ))}
              </tr>
              {chart.series.map(({ name, ys }, index) => (
                <tr key={index}>
                  <th scope="row">{say(name)}</th>
                  {ys.map((value, place) => (
                    <td key={place}>{short(value)}</td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}
