import { LessonCard } from "@/components/Lesson";
import { SaveFigure } from "@/components/SaveFigure";
import { useI18n } from "@/lib/i18n";
import type { EngineSteps } from "./live";
import css from "./Internals.module.css";
import pictures from "./Pictures.module.css";

const [CELL, LEFT, ACROSS] = [12, 40, 48];

/** Which blocks each request that is being computed holds; a table that is wider than the picture goes on below. */
export function BlockTables({ seen }: { seen: EngineSteps }) {
  const { t } = useI18n();
  const { tables } = seen;
  const held = tables.reduce((sum, { blocks }) => sum + blocks.length, 0);
  const filled = tables.reduce((sum, { tokens }) => sum + tokens, 0);
  const waste = held ? 1 - filled / (held * seen.block_size) : 0;
  const rows = tables.map(({ blocks }) => Math.max(1, Math.ceil(blocks.length / ACROSS)));
  const tops = rows.map((_, index) => rows.slice(0, index).reduce((sum, count) => sum + count * CELL + 6, 0));
  const height = rows.reduce((sum, count) => sum + count * CELL + 6, 0);
  return (
    <LessonCard title={t("live.tables")} hint={t("live.tablesHint", { size: seen.block_size })}>
      {tables.length === 0 ? (
        <p className={css.hint}>{t("live.noTables")}</p>
      ) : (
        <figure className={pictures.figure}>
          <div className={pictures.scrolls} tabIndex={0} role="group" aria-label={t("live.tables")}>
            <svg
              viewBox={`0 0 ${LEFT + ACROSS * CELL} ${height}`}
              className={pictures.blocks}
              role="img"
              aria-label={t("live.tables")}
            >
              {tables.map((table, index) => (
                <g key={`${table.request}/${table.index}`}>
                  <text x={LEFT - 8} y={(tops[index] ?? 0) + CELL / 2} textAnchor="end" dominantBaseline="middle">
                    {index + 1}
                  </text>
                  {table.blocks.map((block, place) => (
                    <rect
                      key={place}
                      x={LEFT + (place % ACROSS) * CELL + 0.5}
                      y={(tops[index] ?? 0) + Math.floor(place / ACROSS) * CELL + 0.5}
                      width={CELL - 1.5}
                      height={CELL - 1.5}
                      rx={2}
                      data-tone={place < table.shared ? 1 : 0}
                    >
                      <title>{t("live.block", { who: index + 1, n: block })}</title>
                    </rect>
                  ))}
                </g>
              ))}
            </svg>
          </div>
          <ul className={pictures.legend}>
            <li data-tone={0}>{t("live.own")}</li>
            <li data-tone={1}>{t("live.shared")}</li>
          </ul>
          <SaveFigure name={t("live.tables")} />
        </figure>
      )}
      {tables.length > 0 && (
        <p className={css.hint}>
          {t("live.used", {
            used: seen.num_blocks - seen.free,
            all: seen.num_blocks,
            n: tables.length,
            waste: `${Math.round(100 * Math.max(0, waste))} %`,
          })}
        </p>
      )}
    </LessonCard>
  );
}
