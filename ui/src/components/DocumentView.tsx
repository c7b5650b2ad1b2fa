import { useEffect, useMemo, useRef } from "react";
import { TextBlock, type Range } from "@/components/TextBlock";
import { Empty } from "@/components/states";
import { blocksOf } from "@/lib/blocks";
import { toUnits } from "@/lib/codepoints";
import { useI18n } from "@/lib/i18n";
import type { DocumentText } from "@/lib/types";
import css from "./DocumentView.module.css";

interface DocumentViewProps {
  document: DocumentText;
  /** `start` and `end` mark a passage, `quote=a-b` an answer's own words in it. Code point offsets. */
  params: URLSearchParams;
  /** Scrolls to the passage anew when it grows. */
  again?: number;
  /** Without its outline, where there is little room. */
  plain?: boolean;
}

function range(from: string | null, to: string | null): [number, number] | null {
  const [start, end] = [Number(from ?? NaN), Number(to ?? NaN)];
  return Number.isInteger(start) && Number.isInteger(end) && start < end ? [start, end] : null;
}

/** Whether an address names a passage. */
export const namesPassage = (params: URLSearchParams): boolean =>
  range(params.get("start"), params.get("end")) !== null;

/** A document's text with its outline and its pages; a passage is marked and scrolled to. */
export function DocumentView({ document: shown, params, again = 0, plain }: DocumentViewProps) {
  const { t } = useI18n();
  const where = params.toString();
  const body = useRef<HTMLDivElement>(null);
  const { passage, quote, blocks, outline } = useMemo(() => locate(shown, new URLSearchParams(where)), [shown, where]);

  useEffect(() => {
    const scroll = () => {
      const mark = body.current?.querySelector("mark[data-quote]") ?? body.current?.querySelector("mark");
      mark?.scrollIntoView({ block: "center" });
    };
    scroll();
    // Blocks out of sight have estimated heights: once they are laid out the mark may stand elsewhere.
    const frame = requestAnimationFrame(scroll);
    return () => cancelAnimationFrame(frame);
  }, [shown, where, again]);

  return (
    <div className={css.reader}>
      {!plain && outline.length > 1 && (
        <nav className={css.outline} aria-label={t("doc.outline")}>
          <h2>{t("doc.outline")}</h2>
          {outline.map(({ title, level, block }, index) => (
            <a key={index} href={`#b${block}`} style={{ paddingInlineStart: `${(level - 1) * 12}px` }}>
              {title}
            </a>
          ))}
        </nav>
      )}
      <div className={css.text} ref={body}>
        {!shown.text && <Empty title={t("doc.noText")} />}
        {blocks.map((block) => (
          <TextBlock key={block.start} block={block} passage={passage} quote={quote} />
        ))}
      </div>
    </div>
  );
}

/** Everything the address and the document say about places, in UTF-16 units. */
function locate(shown: DocumentText, params: URLSearchParams) {
  const wanted = range(params.get("start"), params.get("end"));
  const [from, to] = (params.get("quote") ?? "").split("-");
  const said = range(from || null, to || null);
  const pages = shown.pages ?? [];
  const heads = shown.outline ?? [];
  const offsets = [wanted?.[0] ?? 0, wanted?.[1] ?? 0, said?.[0] ?? 0, said?.[1] ?? 0];
  const units = toUnits(shown.text, [
    ...offsets,
    ...pages.map(({ start }) => start),
    ...heads.map(({ start }) => start),
  ]);
  const at = (index: number) => units[index] ?? 0;
  const blocks = blocksOf(
    shown.text,
    pages.map(({ page }, index) => ({ page, start: at(4 + index) })),
    heads.map((_, index) => at(4 + pages.length + index)),
  );
  const passage: Range = wanted && [at(0), at(1)];
  const quote: Range = said && [at(2), at(3)];
  return {
    passage,
    quote,
    blocks,
    outline: heads.map(({ title, level }, index) => ({ title, level, block: at(4 + pages.length + index) })),
  };
}
