import { useI18n } from "@/lib/i18n";
import type { Roadmap, RoadmapStage } from "@/lib/types";
import css from "./Trail.module.css";
import { isBehind } from "./verdict";
import { camps, HEIGHT, pathThrough, WIDTH } from "./trailShape";

/** How much of a stage's gates is behind one: 0 to 1; what this machine forbids holds nobody up. */
function share(stage: RoadmapStage | undefined): number {
  const gates = stage?.tasks.filter(({ has_gate }) => has_gate) ?? [];
  return gates.length ? gates.filter(isBehind).length / gates.length : 0;
}

/** The seven stages as the height profile of a walk: painted as far as one has come, the needle where one stands. */
export function Trail({ roadmap }: { roadmap: Roadmap }) {
  const { t, say } = useI18n();
  const { stages } = roadmap;
  const points = camps(stages.length);
  const found = stages.findIndex(({ tasks }) => tasks.some(({ id }) => id === roadmap.next));
  const here = found < 0 ? stages.length - 1 : found;
  const line = pathThrough(points);
  const first = points[0];
  const last = points.at(-1);
  const at = points[here];
  if (!first || !last || !at) return null;
  return (
    <figure className={css.trail}>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={t("roadmap.profile")}>
        {[0, 1, 2, 3].map((level) => (
          <path
            key={level}
            className={css.contour}
            transform={`translate(0 ${level * 17 + 12})`}
            d={`M0 ${first.y}L${first.x} ${first.y}${line.slice(line.indexOf("C"))}L${WIDTH} ${last.y}`}
            opacity={1 - level * 0.22}
          />
        ))}
        <path
          className={css.ground}
          d={`M0 ${first.y}L${first.x} ${first.y}${line.slice(line.indexOf("C"))}L${WIDTH} ${last.y}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z`}
        />
        <path className={css.line} d={line} />
        <path className={css.walked} d={pathThrough(points.slice(0, here + 1))} />
        {points.map(({ x, y }, index) => (
          <g key={index} transform={`translate(${x} ${y}) rotate(-90)`}>
            <circle className={css.camp} data-done={share(stages[index]) === 1 || undefined} r="7.5" />
            <circle className={css.share} r="7.5" pathLength="1" strokeDasharray={`${share(stages[index])} 1`} />
          </g>
        ))}
        <g transform={`translate(${at.x} ${at.y - 24})`} className={css.needle}>
          <path d="M0 13 -7 -4 0 -9 7 -4Z" />
        </g>
      </svg>
      <ol className={css.camps}>
        {stages.map((stage, index) => (
          <li
            key={stage.id}
            data-here={index === here || undefined}
            style={{ left: `${((points[index]?.x ?? 0) / WIDTH) * 100}%` }}
          >
            <a href={`#stage-${stage.id}`} title={say(stage.title)}>
              <b>{stage.id}</b>
              <span>{say(stage.title)}</span>
              <small>{stage.checkable ? `${stage.passed}/${stage.checkable}` : "–"}</small>
            </a>
          </li>
        ))}
      </ol>
    </figure>
  );
}
