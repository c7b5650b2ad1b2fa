import { SaveFigure } from "@/components/SaveFigure";
import { useI18n } from "@/lib/i18n";
import type { Timeline } from "./api";
import { scale, short } from "./scale";
import pictures from "./Pictures.module.css";

const [WIDTH, LANE, LEFT, BOTTOM] = [720, 26, 64, 22];

/** Who did what when: a row for each lane, a bar for each piece of work. */
export function TimelineView({ timeline }: { timeline: Timeline }) {
  const { say } = useI18n();
  const { lanes, bars, kinds } = timeline;
  const x = scale(
    bars.flatMap(({ start, end }) => [start, end]),
    LEFT,
    WIDTH - 8,
    false,
    10,
  );
  const height = lanes.length * LANE;
  return (
    <figure className={`${pictures.figure} ${pictures.timeline}`}>
      <figcaption>{say(timeline.title)}</figcaption>
      <div className={pictures.scrolls} tabIndex={0} role="group" aria-label={say(timeline.title)}>
        <svg viewBox={`0 0 ${WIDTH} ${height + BOTTOM}`} role="img" aria-label={say(timeline.title)}>
          {lanes.map((lane, index) => (
            <text key={index} x={LEFT - 8} y={index * LANE + LANE / 2} textAnchor="end" dominantBaseline="middle">
              {lane}
            </text>
          ))}
          {bars.map((bar, index) => {
            const start = x.at(bar.start);
            const width = Math.max(1.5, x.at(bar.end) - start - 1);
            return (
              <g key={index} data-tone={bar.kind}>
                <rect x={start} y={bar.lane * LANE + 3} width={width} height={LANE - 6} rx={3}>
                  <title>{`${lanes[bar.lane]}: ${say(kinds[bar.kind])} ${bar.label} (${short(bar.start)}–${short(bar.end)})`}</title>
                </rect>
                {width > 7 * (bar.label ?? "").length && (
                  <text data-on x={start + width / 2} y={bar.lane * LANE + LANE / 2}>
                    {bar.label}
                  </text>
                )}
              </g>
            );
          })}
          {x.ticks.map((tick) => (
            <text key={tick} x={x.at(tick)} y={height + 15} textAnchor="middle">
              {short(tick)}
            </text>
          ))}
        </svg>
      </div>
      <p className={pictures.axis}>→ {say(timeline.unit)}</p>
      <ul className={pictures.legend}>
        {kinds.map((kind, index) => (
          <li key={index} data-tone={index}>
            {say(kind)}
          </li>
        ))}
      </ul>
      <SaveFigure name={say(timeline.title)} />
    </figure>
  );
}
