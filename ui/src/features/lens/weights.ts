/** A map as it comes over the wire: 16 bits a weight, little endian, in base64; 65,535 is all attention. */
export function weightsOf(map: string): Uint16Array {
  const bytes = Uint8Array.from(atob(map), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Uint16Array.from({ length: bytes.length / 2 }, (_, index) => view.getUint16(2 * index, true));
}

/** Points of a curve as the path of an SVG of that size; `range` is what lies at bottom and top. */
export function pathOf(
  xs: readonly number[],
  ys: readonly number[],
  size: readonly [number, number],
  range: readonly [number, number],
): string {
  const last = Math.log1p(xs.at(-1) ?? 1);
  const high = range[1] - range[0] || 1;
  return ys
    .map((y, index) => {
      const x = (Math.log1p(xs[index] ?? 0) / last) * size[0];
      return `${index ? "L" : "M"}${x.toFixed(1)} ${(size[1] - ((y - range[0]) / high) * size[1]).toFixed(1)}`;
    })
    .join("");
}
