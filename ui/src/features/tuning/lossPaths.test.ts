import { expect, test } from "vitest";
import { curves, lossPaths } from "./lossPaths";

test("nothing measured is nothing drawn", () => {
  expect(lossPaths([], 100, 50)).toBeNull();
  expect(lossPaths([{ step: 1, loss: NaN }], 100, 50)).toBeNull();
});

test("the highest loss is at the top, the last step at the right, and held-out losses have points", () => {
  const metrics = [
    { step: 0, held_out: 4 },
    { step: 1, loss: 3 },
    { step: 2, loss: 2, held_out: 2 },
  ];
  const drawn = lossPaths(metrics, 112, 62);
  expect(drawn?.points).toEqual([
    [6, 6],
    [106, 56],
  ]);
  expect(drawn?.train).toBe("M56.0 31.0L106.0 56.0");
  expect([drawn?.first, drawn?.last, drawn?.low, drawn?.high, drawn?.steps]).toEqual([4, 2, 2, 4, 2]);
});

test("a single value is drawn without dividing by nothing", () => {
  expect(lossPaths([{ step: 1, loss: 3 }], 112, 62)?.train).toBe("M106.0 6.0");
});

test("runs of different lengths end at the same place", () => {
  const short = [
    { step: 0, held_out: 4 },
    { step: 10, held_out: 2 },
  ];
  const long = [
    { step: 0, held_out: 4 },
    { step: 50, held_out: 3 },
    { step: 100, held_out: 1 },
  ];
  const drawn = curves([short, long], 100, 50);
  expect(drawn?.low).toBe(1);
  expect(drawn?.high).toBe(4);
  expect(drawn?.paths.map((path) => path.match(/L94\.0/g)?.length)).toEqual([1, 1]);
  expect(curves([[{ step: 1, loss: 3 }]], 100, 50)).toBeNull();
});
