import { Footprints } from "lucide-react";
import { Link } from "wouter";
import { Badge } from "@/components/Badge";
import { Empty, ErrorPanel, Skeleton } from "@/components/states";
import { ago, seconds } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import type { KnowledgeBase } from "@/lib/types";
import { useTraces } from "./api";
import css from "./TraceList.module.css";

export function TraceList({ kb }: { kb: KnowledgeBase }) {
  const { t, lang } = useI18n();
  const { data, error, refetch, isPending } = useTraces(kb.id);
  if (error) return <ErrorPanel error={error} retry={() => void refetch()} />;
  if (isPending) return <Skeleton lines={6} height={30} />;
  if (!data.length) return <Empty icon={Footprints} title={t("rag.tracesEmpty")} hint={t("rag.tracesEmptyHint")} />;
  return (
    <ul className={css.list}>
      {data.map((trace) => (
        <li key={trace.id}>
          <Link href={`/knowledge/${kb.id}?tab=traces&trace=${trace.id}`} className={css.row}>
            <span className={css.words}>
              <b>{trace.question}</b>
              <span>{trace.answer}</span>
            </span>
            {trace.refused && <Badge>{t("rag.refusedBadge")}</Badge>}
            <small>
              {seconds(trace.seconds)} · {ago(trace.created_at, lang)}
            </small>
          </Link>
        </li>
      ))}
    </ul>
  );
}
