import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "@/lib/api";
import { number } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import type { LiveFigures } from "@/lib/types";
import { added, curveOf, EVERY_MS, KEPT, speedOf } from "./live";
import css from "./LiveLine.module.css";

/** The readings of a running model while it is shown. */
function useReadings(name: string): LiveFigures[] {
  const [readings, keep] = useState<LiveFigures[]>([]);
  const { data } = useQuery({
    queryKey: ["live", name],
    queryFn: ({ signal }) => api.get<LiveFigures>(`/engines/running/${encodeURIComponent(name)}/live`, signal),
    refetchInterval: EVERY_MS,
    gcTime: 0,
    retry: false,
  });
  if (data && data.at !== readings.at(-1)?.at) keep(added(readings, data));
  return readings;
}

/** Tokens a second and requests of a running model, as its own counters tell them. */
export function LiveLine({ name }: { name: string }) {
  const { t, lang } = useI18n();
  const readings = useReadings(name);
  const now = readings.at(-1);
  if (!now) return null;
  const { generated, prompt } = speedOf(readings);
  const curve = curveOf(readings);
  const rate = (value: number | null) => (value === null ? "–" : number(value, lang, value < 10 ? 1 : 0));
  const facts: [string, string | null][] = [
    [t("models.live.generated"), rate(generated)],
    [t("models.live.prompt"), rate(prompt)],
    [t("models.live.running"), String(now.running)],
    [t("models.live.waiting"), now.waiting === null ? null : String(now.waiting)],
    [t("models.live.cache"), now.kv_usage === null ? null : `${number(now.kv_usage * 100, lang, 0)} %`],
    [t("models.live.answered"), number(now.num_answered, lang, 0)],
    [t("models.live.tokens"), number(now.generated_tokens, lang, 0)],
  ];
  return (
    <div className={css.live} data-testid={`live-${name}`} title={t(`models.live.source.${now.source}`)}>
      {curve.some((rate) => rate > 0) && <Curve values={curve} label={t("models.live.generated")} />}
      <dl>
        {facts.map(
          ([label, value]) =>
            value !== null && (
              <div key={label}>
                <dt>{label}</dt>
                <dd>{value}</dd>
              </div>
            ),
        )}
      </dl>
    </div>
  );
}

const WIDTH = 120;
const HEIGHT = 32;

function Curve({ values, label }: { values: readonly number[]; label: string }) {
  const most = Math.max(1, ...values);
  const step = WIDTH / (KEPT - 2);
  const from = WIDTH - step * (values.length - 1);
  const points = values.map((value, index) => {
    const y = HEIGHT - 2 - (value / most) * (HEIGHT - 4);
    return `${(from + index * step).toFixed(1)},${y.toFixed(1)}`;
  });
  return (
    <svg
      className={css.curve}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      width={WIDTH}
      height={HEIGHT}
      role="img"
      aria-label={label}
    >
      <line x1="0" x2={WIDTH} y1={HEIGHT - 1.5} y2={HEIGHT - 1.5} />
      <polyline points={points.join(" ")} />
    </svg>
  );
}
