import { expect, test } from "vitest";
import { lossPaths } from "./lossPaths";

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
