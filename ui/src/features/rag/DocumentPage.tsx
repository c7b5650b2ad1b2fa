import { ArrowDownToLine, ArrowLeft, LocateFixed } from "lucide-react";
import { useState } from "react";
import { Link, useSearchParams } from "wouter";
import { Button } from "@/components/Button";
import { DocumentView, namesPassage } from "@/components/DocumentView";
import { ErrorPanel, Skeleton } from "@/components/states";
import { download } from "@/lib/api";
import { bytes, number } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import type { DocumentText } from "@/lib/types";
import { useDocumentText } from "./api";
import css from "./DocumentPage.module.css";

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

function Reader({ kb, document: shown }: { kb: string; document: DocumentText }) {
  const { t, lang } = useI18n();
  const [params] = useSearchParams();
  const [again, setAgain] = useState(0);
  const isMarked = namesPassage(params);

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
              isMarked && t("rag.passageShown"),
            ]
              .filter(Boolean)
              .join(" · ")}
          </p>
        </div>
        {isMarked && (
          <Button icon={LocateFixed} onClick={() => setAgain(again + 1)}>
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
      <DocumentView document={shown} params={params} again={again} />
    </div>
  );
}
