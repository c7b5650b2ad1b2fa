import { Download } from "lucide-react";
import { useRef } from "react";
import { fileName, pngOf, saveAs, svgText } from "@/lib/picture";
import { useI18n } from "@/lib/i18n";
import css from "./SaveFigure.module.css";

/** Saves the picture of the `figure` (or of what bears `data-figure`) that it stands in: PNG, and SVG where it is one. */
export function SaveFigure({ name, only }: { name: string; only?: "png" }) {
  const { t } = useI18n();
  const place = useRef<HTMLSpanElement>(null);
  const save = async (kind: "png" | "svg") => {
    const picture = place.current
      ?.closest("figure, [data-figure]")
      ?.querySelector<SVGSVGElement | HTMLCanvasElement>('svg[role="img"], canvas');
    if (!picture) return;
    if (kind === "svg" && picture instanceof SVGSVGElement)
      saveAs(new Blob([svgText(picture)], { type: "image/svg+xml" }), `${fileName(name)}.svg`);
    else saveAs(await pngOf(picture), `${fileName(name)}.png`);
  };
  return (
    <span ref={place} className={css.save}>
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
