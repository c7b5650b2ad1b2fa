import { Fragment, memo } from "react";
import { pieces } from "@/lib/codepoints";
import { useI18n } from "@/lib/i18n";
import type { Block } from "./blocks";
import css from "./DocumentPage.module.css";

type Range = readonly [number, number] | null;

interface TextBlockProps {
  block: Block;
  passage: Range;
  quote: Range;
}

export const TextBlock = memo(function TextBlock({ block, passage, quote }: TextBlockProps) {
  const { t } = useI18n();
  const here = (range: Range): Range => range && [range[0] - block.start, range[1] - block.start];
  return (
    <section id={`b${block.start}`} className={css.block}>
      {block.page !== null && <h3 className={css.pageNumber}>{t("rag.page", { page: block.page })}</h3>}
      {pieces(block.text, here(passage), here(quote)).map((piece, index) => {
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
