import { useI18n } from "@/lib/i18n";
import css from "./LossCurve.module.css";
import { lossPaths } from "./lossPaths";

/** Training loss as a line, held-out loss as points on theirs; the numbers stand beside the picture for those who do not see it. */
export function LossCurve({ metrics }: { metrics: readonly Record<string, unknown>[] }) {
  const { t } = useI18n();
  const drawn = lossPaths(metrics, 600, 180);
  if (!drawn) return null;
  return (
    <figure className={css.figure}>
      <svg
        viewBox="0 0 600 180"
        role="img"
        aria-label={t("tune.curve", { first: drawn.first.toFixed(3), last: drawn.last.toFixed(3) })}
      >
        <path d={drawn.train} className={css.train} />
        <path d={drawn.heldOut} className={css.heldOut} />
        {drawn.points.map(([x, y], place) => (
          <circle key={place} cx={x} cy={y} r={3.5} className={css.point} />
        ))}
      </svg>
      <figcaption>
        <span className={css.keyTrain}>{t("tune.trainLoss")}</span>
        <span className={css.keyHeldOut}>{t("tune.heldOut")}</span>
        <small>
          0–{drawn.steps} {t("tune.step")} · {drawn.low.toFixed(2)}–{drawn.high.toFixed(2)}
        </small>
      </figcaption>
    </figure>
  );
}
