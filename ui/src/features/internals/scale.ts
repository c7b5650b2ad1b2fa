/** From numbers to places on a picture, and the round numbers that stand at its edges. */
export interface Scale {
  at: (value: number) => number;
  ticks: number[];
}

const STEPS = [1, 2, 5, 10];

function linearTicks(low: number, high: number, most: number): number[] {
  const raw = (high - low) / most || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = (STEPS.find((one) => one * power >= raw) ?? 10) * power;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, index) => Number(((first + index) * step).toPrecision(12)));
}

function logTicks(low: number, high: number): number[] {
  const decades = Array.from(
    { length: Math.ceil(Math.log10(high)) - Math.floor(Math.log10(low)) + 1 },
    (_, index) => 10 ** (Math.floor(Math.log10(low)) + index),
  );
  const inside = (ticks: number[]) => ticks.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
  const tens = inside(decades);
  return tens.length > 2 ? tens : inside(decades.flatMap((ten) => [ten, 2 * ten, 5 * ten]));
}

/** Values from lowest to highest become places from `from` to `to`; logarithms of values below zero have no place. */
export function scale(values: readonly number[], from: number, to: number, log: boolean, most = 6): Scale {
  const usable = values.filter((value) => Number.isFinite(value) && (!log || value > 0));
  let low = Math.min(...usable);
  let high = Math.max(...usable);
  if (!usable.length) [low, high] = [log ? 1 : 0, 10];
  if (low === high) [low, high] = log ? [low / 2, high * 2] : [low - 1, high + 1];
  const bent = (value: number) => (log ? Math.log(value) : value);
  const [first, span] = [bent(low), bent(high) - bent(low)];
  return {
    at: (value) => from + ((bent(value) - first) / span) * (to - from),
    ticks: log ? logTicks(low, high) : linearTicks(low, high, most),
  };
}

/** A number at an axis: 0.001, 12, 3.4k, 5M. */
export function short(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e9) return `${Number((value / 1e9).toPrecision(3))}G`;
  if (size >= 1e6) return `${Number((value / 1e6).toPrecision(3))}M`;
  if (size >= 1e4) return `${Number((value / 1e3).toPrecision(3))}k`;
  if (size !== 0 && size < 1e-3) return value.toExponential(2).replace(/\.?0*e/, "e");
  return String(Number(value.toPrecision(3)));
}
