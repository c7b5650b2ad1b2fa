/** The height profile of the trail: seven camps, each higher than the one before, joined by a smooth line. */

export interface Point {
  x: number;
  y: number;
}

export const WIDTH = 1000;
export const HEIGHT = 190;

/** Share of the climb at each camp: easy at first, a rest in the middle, steep at the end. */
const CLIMB = [0, 0.13, 0.34, 0.46, 0.56, 0.77, 1];
const EDGE = 62;
const LOW = 138;
const HIGH = 34;

export function camps(count: number): Point[] {
  return Array.from({ length: count }, (_, index) => {
    const along = count === 1 ? 0 : index / (count - 1);
    const climb = CLIMB[Math.round(along * (CLIMB.length - 1))] ?? along;
    return { x: EDGE + along * (WIDTH - 2 * EDGE), y: LOW - climb * (LOW - HIGH) };
  });
}

/** An SVG path through the points; control points lie level, so that each camp is a small plateau. */
export function pathThrough(points: readonly Point[]): string {
  return points
    .map(({ x, y }, index) => {
      const before = points[index - 1];
      if (!before) return `M${x} ${y}`;
      const half = (x - before.x) / 2;
      return `C${before.x + half} ${before.y} ${x - half} ${y} ${x} ${y}`;
    })
    .join("");
}
