/** Mermaid to SVG. Strict: no HTML in labels, no clicks; the SVG is then shown as a picture, in which nothing runs. */
import mermaid from "mermaid";

let next = 0;

mermaid.initialize({
  startOnLoad: false,
  securityLevel: "strict",
  theme: "neutral",
  htmlLabels: false,
  flowchart: { htmlLabels: false },
  suppressErrorRendering: true,
  // What a diagram may not change by a directive of its own.
  secure: [
    "secure",
    "securityLevel",
    "startOnLoad",
    "maxTextSize",
    "maxEdges",
    "suppressErrorRendering",
    "htmlLabels",
    "themeCSS",
  ],
});

export async function draw(code: string): Promise<string> {
  const { svg } = await mermaid.render(`drawn-${next++}`, withoutTags(code));
  return sized(svg);
}

/**
 * Mermaid measures labels in the page before it cleans them, where an image's `onerror` would be tried (and only the page's policy
 * would stop it). So no tag gets that far but a line break; `<<interface>>` and arrows stay.
 */
export function withoutTags(code: string): string {
  return code.replace(/<<[\w -]+>>|<br ?\/?>|<(?=[a-zA-Z/!?])/g, (found) => (found.length > 1 ? found : "‹"));
}

/** A picture has no width to fill: the drawing's own size is said, as its view box has it. */
function sized(svg: string): string {
  const drawing = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
  const [, , width, height] = (drawing.getAttribute("viewBox") ?? "").split(/[\s,]+/);
  if (width && height) {
    drawing.setAttribute("width", width);
    drawing.setAttribute("height", height);
  }
  return new XMLSerializer().serializeToString(drawing);
}
