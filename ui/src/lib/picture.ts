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

const LAID_OUT = [
  "align-items align-self background-color border-bottom border-left border-radius border-right border-top bottom",
  "box-sizing color column-gap display fill flex font-family font-size font-style font-variant-numeric font-weight gap",
  "grid-template-columns height justify-content left letter-spacing line-height list-style margin max-width min-height",
  "min-width opacity outline overflow overflow-wrap padding position right row-gap stroke stroke-width text-align",
  "text-anchor text-decoration text-overflow text-transform top vertical-align white-space width word-break",
]
  .join(" ")
  .split(" ");

/** The text of an SVG file that shows a part of the page as it is laid out now; what only serves to be operated is left out. */
export function pageText(part: HTMLElement): string {
  const copy = part.cloneNode(true) as HTMLElement;
  const [from, to] = [part.querySelectorAll("*"), copy.querySelectorAll<HTMLElement>("*")];
  const left: Element[] = [];
  [part, ...from].forEach((original, index) => {
    const made = index ? to[index - 1] : copy;
    if (!made) return;
    const style = getComputedStyle(original);
    for (const name of LAID_OUT) made.style?.setProperty(name, style.getPropertyValue(name));
    made.removeAttribute("class");
    if (original.matches("[data-unsaved], input[type=range], option")) left.push(made);
    else if (original instanceof HTMLTextAreaElement) made.textContent = original.value;
    else if (original instanceof HTMLSelectElement) {
      made.replaceChildren(original.selectedOptions[0]?.textContent ?? "");
    } else if (original instanceof HTMLCanvasElement) {
      const image = document.createElement("img");
      image.src = original.toDataURL();
      made.replaceWith(image);
    }
  });
  for (const one of left) one.remove();
  const { width, height } = part.getBoundingClientRect();
  copy.style.setProperty("margin", "0");
  copy.setAttribute("xmlns", "http://www.w3.org/1999/xhtml");
  const [w, h] = [Math.ceil(width), Math.ceil(height)];
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${w}" height="${h}" viewBox="0 0 ${w} ${h}">` +
    `<rect width="${w}" height="${h}" style="fill:${groundOf(part)}"/>` +
    `<foreignObject width="${w}" height="${h}">${new XMLSerializer().serializeToString(copy)}</foreignObject></svg>`
  );
}

/** `picture` as PNG, twice as sharp as it is large. */
export async function pngOf(picture: SVGSVGElement | HTMLCanvasElement | HTMLElement): Promise<Blob> {
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d");
  if (!pen) throw new Error("no canvas");
  if (picture instanceof HTMLCanvasElement) {
    [canvas.width, canvas.height] = [picture.width, picture.height];
    pen.fillStyle = groundOf(picture);
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.drawImage(picture, 0, 0);
  } else {
    const drawn = picture instanceof SVGSVGElement;
    const { width, height } = drawn
      ? { width: boxOf(picture)[2], height: boxOf(picture)[3] }
      : picture.getBoundingClientRect();
    const image = new Image();
    const text = drawn ? svgText(picture) : pageText(picture);
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}`;
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
