import { ArrowDownToLine, ArrowLeft, LocateFixed } from "lucide-react";
import { useEffect, useMemo, useRef } from "react";
import { Link, useSearchParams } from "wouter";
import { Button } from "@/components/Button";
import { Empty, ErrorPanel, Skeleton } from "@/components/states";
import { download } from "@/lib/api";
import { toUnits } from "@/lib/codepoints";
import { bytes, number } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import type { DocumentText } from "@/lib/types";
import { useDocumentText } from "./api";
import { blocksOf } from "./blocks";
import css from "./DocumentPage.module.css";
import { TextBlock } from "./TextBlock";

/** A document's text; `?start=&end=` marks a passage, `quote=a-b` the answer's own words in it. Code point offsets. */
export default function DocumentPage({ kb, doc }: { kb: string; doc: string }) {
  const { data, error, refetch } = useDocumentText(kb, doc);
  if (data) return <Reader kb={kb} document={data} />;
  return (
    <div className={css.page}>
      {error ? <ErrorPanel error={error} retry={() => void refetch()} /> : <Skeleton lines={12} />}
    </div>
  );
}

function range(from: string | null, to: string | null): [number, number] | null {
  const [start, end] = [Number(from ?? NaN), Number(to ?? NaN)];
  return Number.isInteger(start) && Number.isInteger(end) && start < end ? [start, end] : null;
}

function Reader({ kb, document: shown }: { kb: string; document: DocumentText }) {
  const { t, lang } = useI18n();
  const [params] = useSearchParams();
  const where = params.toString();
  const body = useRef<HTMLDivElement>(null);
  const { passage, quote, blocks, outline } = useMemo(() => locate(shown, new URLSearchParams(where)), [shown, where]);

  const toPassage = () => {
    const mark = body.current?.querySelector("mark[data-quote]") ?? body.current?.querySelector("mark");
    mark?.scrollIntoView({ block: "center" });
  };
  useEffect(() => {
    toPassage();
    // Blocks out of sight have estimated heights: once they are laid out the mark may stand elsewhere.
    const again = requestAnimationFrame(toPassage);
    return () => cancelAnimationFrame(again);
  }, [shown, where]);

  return (
    <div className={css.page}>
      <title>{`${shown.name} · Zhilu 指路`}</title>
      <header className={css.head}>
        <div>
          <Link href={`/knowledge/${kb}`} className={css.back}>
            <ArrowLeft size={15} aria-hidden /> {t("do.back")}
          </Link>
          <h1>{shown.name}</h1>
          <p>
            {[
              bytes(shown.size_bytes),
              shown.num_pages && t("rag.pages", { n: shown.num_pages }),
              t("rag.chars", { n: number(shown.num_chars, lang) }),
              passage && t("rag.passageShown"),
            ]
              .filter(Boolean)
              .join(" · ")}
          </p>
        </div>
        {passage && (
          <Button icon={LocateFixed} onClick={toPassage}>
            {t("rag.toPassage")}
          </Button>
        )}
        <Button
          icon={ArrowDownToLine}
          onClick={() => void download(`/kbs/${kb}/documents/${shown.id}/original`, shown.name)}
        >
          {t("rag.original")}
        </Button>
      </header>
      <div className={css.reader}>
        {outline.length > 1 && (
          <nav className={css.outline} aria-label={t("rag.outline")}>
            <h2>{t("rag.outline")}</h2>
            {outline.map(({ title, level, block }, index) => (
              <a key={index} href={`#b${block}`} style={{ paddingInlineStart: `${(level - 1) * 12}px` }}>
                {title}
              </a>
            ))}
          </nav>
        )}
        <div className={css.text} ref={body}>
          {!shown.text && <Empty title={t("rag.noText")} />}
          {blocks.map((block) => (
            <TextBlock key={block.start} block={block} passage={passage} quote={quote} />
          ))}
        </div>
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
  return {
    passage: wanted && ([at(0), at(1)] as const),
    quote: said && ([at(2), at(3)] as const),
    blocks,
    outline: heads.map(({ title, level }, index) => ({ title, level, block: at(4 + pages.length + index) })),
  };
}
