/** What is drawn of a run: SVG paths within width and height, and the range that they cover. */
export interface LossPaths {
  train: string;
  heldOut: string;
  points: [number, number][];
  first: number;
  last: number;
  low: number;
  high: number;
  steps: number;
}

const EDGE = 6;

export function lossPaths(
  metrics: readonly Record<string, unknown>[],
  width: number,
  height: number,
): LossPaths | null {
  const series = (key: string) =>
    metrics
      .map((values) => [Number(values.step), values[key]] as const)
      .filter((pair): pair is [number, number] => typeof pair[1] === "number" && Number.isFinite(pair[1]));
  const train = series("loss");
  const heldOut = series("held_out");
  const all = [...train, ...heldOut].map(([, loss]) => loss);
  if (!all.length) return null;
  const low = Math.min(...all);
  const high = Math.max(...all);
  const steps = Math.max(...metrics.map(({ step }) => Number(step)), 1);
  const place = ([step, loss]: readonly [number, number]): [number, number] => [
    EDGE + (step / steps) * (width - 2 * EDGE),
    EDGE + ((high - loss) / (high - low || 1)) * (height - 2 * EDGE),
  ];
  const path = (points: [number, number][]) =>
    points.map(([x, y], at) => `${at ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
  const points = heldOut.map(place);
  return {
    train: path(train.map(place)),
    heldOut: path(points),
    points,
    first: (heldOut[0] ?? train[0])?.[1] ?? 0,
    last: (heldOut.at(-1) ?? train.at(-1))?.[1] ?? 0,
    low,
    high,
    steps,
  };
}

/** The curves of several runs in one picture: the held-out figure by the share of the run that is done, as each has its own length. */
export function curves(
  runs: readonly (readonly Record<string, unknown>[])[],
  width: number,
  height: number,
): { paths: string[]; low: number; high: number } | null {
  const series = runs.map((metrics) =>
    metrics
      .map((values) => [Number(values.step), values.held_out] as const)
      .filter((pair): pair is [number, number] => typeof pair[1] === "number" && Number.isFinite(pair[1])),
  );
  const all = series.flat().map(([, figure]) => figure);
  if (!all.length) return null;
  const low = Math.min(...all);
  const high = Math.max(...all);
  const paths = series.map((points) => {
    const last = Math.max(...points.map(([step]) => step), 1);
    return points
      .map(([step, figure], at) => {
        const x = EDGE + (step / last) * (width - 2 * EDGE);
        const y = EDGE + ((high - figure) / (high - low || 1)) * (height - 2 * EDGE);
        return `${at ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`;
      })
      .join("");
  });
  return { paths, low, high };
}
