/** Pictures of the page as files: an SVG with its styles in it, or the same (or a canvas) as PNG. */

const STYLES = [
  "fill",
  "stroke",
  "stroke-width",
  "stroke-linejoin",
  "opacity",
  "font-size",
  "font-family",
  "font-weight",
  "text-anchor",
  "dominant-baseline",
] as const;
const SHARP = 2;

/** The text of an SVG file: what the page's style sheets give each part is written into it, on the page's own ground. */
export function svgText(picture: SVGSVGElement): string {
  const copy = picture.cloneNode(true) as SVGSVGElement;
  const [from, to] = [picture.querySelectorAll("*"), copy.querySelectorAll<SVGElement>("*")];
  to.forEach((part, index) => {
    const original = from[index];
    if (!original || part.tagName === "title") return;
    const style = getComputedStyle(original);
    for (const name of STYLES) part.style.setProperty(name, style.getPropertyValue(name));
  });
  const [x, y, width, height] = boxOf(picture);
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("viewBox", [x, y, width, height].join(" "));
  copy.setAttribute("width", String(width));
  copy.setAttribute("height", String(height));
  copy.removeAttribute("class");
  copy.removeAttribute("style");
  const ground = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  for (const [name, value] of Object.entries({ x, y, width, height })) ground.setAttribute(name, String(value));
  ground.style.fill = groundOf(picture);
  copy.prepend(ground);
  return new XMLSerializer().serializeToString(copy);
}

/** `picture` as PNG, twice as sharp as it is large. */
export async function pngOf(picture: SVGSVGElement | HTMLCanvasElement): Promise<Blob> {
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d");
  if (!pen) throw new Error("no canvas");
  if (picture instanceof HTMLCanvasElement) {
    [canvas.width, canvas.height] = [picture.width, picture.height];
    pen.fillStyle = groundOf(picture);
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(picture, 0, 0);
  } else {
    const [, , width, height] = boxOf(picture);
    const image = new Image();
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svgText(picture))}`;
    await image.decode();
    [canvas.width, canvas.height] = [width * SHARP, height * SHARP];
    pen.drawImage(image, 0, 0, canvas.width, canvas.height);
  }
  return new Promise((done, failed) =>
    canvas.toBlob((blob) => (blob ? done(blob) : failed(new Error("no picture"))), "image/png"),
  );
}

/** A name that every file system takes. */
export function fileName(title: string): string {
  return (
    title
      .replace(/[^\p{L}\p{N}]+/gu, "-")
      .replace(/^-|-$/g, "")
      .slice(0, 60) || "figure"
  );
}

export function saveAs(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function boxOf(picture: SVGSVGElement): [number, number, number, number] {
  const numbers = (picture.getAttribute("viewBox") ?? "").split(/[\s,]+/).map(Number);
  if (numbers.length === 4 && numbers.every(Number.isFinite)) return numbers as [number, number, number, number];
  return [0, 0, picture.clientWidth || 1, picture.clientHeight || 1];
}

function groundOf(element: Element): string {
  return getComputedStyle(element.ownerDocument.documentElement).getPropertyValue("--surface").trim() || "#fff";
}
