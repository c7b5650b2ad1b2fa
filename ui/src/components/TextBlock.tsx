import { Fragment, memo } from "react";
import { pieces } from "@/lib/codepoints";
import { useI18n } from "@/lib/i18n";
import type { Block } from "@/lib/blocks";
import css from "./DocumentView.module.css";

/** In UTF-16 units of the whole text. */
export type Range = readonly [number, number] | null;

interface TextBlockProps {
  block: Block;
  passage: Range;
  quote: Range;
}

export const TextBlock = memo(function TextBlock({ block, passage, quote }: TextBlockProps) {
  const { t } = useI18n();
  // A Markdown heading is shown as one; its hashes stay in the text, so that every offset holds.
  const hashes = block.heading ? (/^#{1,6}\s+/.exec(block.text)?.[0].length ?? 0) : 0;
  const from = block.start + hashes;
  const here = (range: Range): Range => range && [range[0] - from, range[1] - from];
  return (
    <section id={`b${block.start}`} className={css.block} data-heading={block.heading || undefined}>
      {block.page !== null && <h3 className={css.pageNumber}>{t("doc.page", { page: block.page })}</h3>}
      {hashes > 0 && <span className={css.hashes}>{block.text.slice(0, hashes)}</span>}
      {pieces(block.text.slice(hashes), here(passage), here(quote)).map((piece, index) => {
        if (!piece.passage && !piece.quote) return <Fragment key={index}>{piece.text}</Fragment>;
        return (
          <mark key={index} data-quote={piece.quote || undefined}>
            {piece.text}
          </mark>
        );
      })}
    </section>
  );
});
