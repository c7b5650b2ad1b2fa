import { Download } from "lucide-react";
import { useRef } from "react";
import { fileName, pageText, pngOf, saveAs, svgText } from "@/lib/picture";
import { useI18n } from "@/lib/i18n";
import css from "./SaveFigure.module.css";

interface SaveFigureProps {
  name: string;
  only?: "png";
  /** All that stands in there, as it is laid out, and not the one drawing in it. */
  whole?: boolean;
}

/** Saves the picture of the `figure` (or of what bears `data-figure`) that it stands in: PNG, and SVG where it is one. */
export function SaveFigure({ name, only, whole }: SaveFigureProps) {
  const { t } = useI18n();
  const place = useRef<HTMLSpanElement>(null);
  const save = async (kind: "png" | "svg") => {
    const figure = place.current?.closest<HTMLElement>("figure, [data-figure]");
    const picture = whole
      ? figure
      : figure?.querySelector<SVGSVGElement | HTMLCanvasElement>('svg[role="img"], canvas');
    if (!picture) return;
    if (kind === "svg" && !(picture instanceof HTMLCanvasElement)) {
      const text = picture instanceof SVGSVGElement ? svgText(picture) : pageText(picture);
      saveAs(new Blob([text], { type: "image/svg+xml" }), `${fileName(name)}.svg`);
    } else saveAs(await pngOf(picture), `${fileName(name)}.png`);
  };
  return (
    <span ref={place} className={css.save} data-unsaved>
      <Download size={13} aria-hidden />
      <button type="button" onClick={() => void save("png")} aria-label={t("figure.save", { name, kind: "PNG" })}>
        PNG
      </button>
      {only !== "png" && (
        <button type="button" onClick={() => void save("svg")} aria-label={t("figure.save", { name, kind: "SVG" })}>
          SVG
        </button>
      )}
    </span>
  );
}
