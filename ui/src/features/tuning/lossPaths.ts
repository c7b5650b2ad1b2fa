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
