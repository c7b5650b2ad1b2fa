import { SaveFigure } from "@/components/SaveFigure";
import { useI18n } from "@/lib/i18n";
import type { Grid } from "./api";
import pictures from "./Pictures.module.css";

const CELL = 10;

/** Cells in rows: darker is more, or a colour a kind; what is empty was never touched. */
export function GridView({ grid }: { grid: Grid }) {
  const { t, say } = useI18n();
  const kinds = grid.kinds ?? [];
  const columns = Math.max(...grid.cells.map((row) => row.length), 1);
  return (
    <figure className={pictures.figure}>
      <figcaption>{say(grid.title)}</figcaption>
      <svg
        viewBox={`0 0 ${columns * CELL} ${grid.cells.length * CELL}`}
        className={pictures.grid}
        style={{ maxWidth: Math.max(220, Math.min(640, columns * 22)) }}
        role="img"
        aria-label={say(grid.title)}
      >
        {grid.cells.map((row, y) =>
          row.map((value, x) => (
            <rect
              key={`${y}-${x}`}
              x={x * CELL + 0.5}
              y={y * CELL + 0.5}
              width={CELL - 1}
              height={CELL - 1}
              rx={1.5}
              data-empty={value === null || undefined}
              data-tone={kinds.length ? (value ?? 0) : 0}
              style={{ opacity: value === null || kinds.length ? 1 : 0.12 + 0.88 * value }}
            >
              <title>
                {`${say(grid.rows)} ${y}, ${say(grid.columns)} ${x}: ${
                  value === null ? t("internals.future") : kinds.length ? say(kinds[value]) : value
                }`}
              </title>
            </rect>
          )),
        )}
      </svg>
      <p className={pictures.axis}>
        ↓ {say(grid.rows)} → {say(grid.columns)}
      </p>
      {kinds.length > 0 && (
        <ul className={pictures.legend}>
          {kinds.map((kind, index) => (
            <li key={index} data-tone={index}>
              {say(kind)}
            </li>
          ))}
        </ul>
      )}
      <SaveFigure name={say(grid.title)} />
    </figure>
  );
}
