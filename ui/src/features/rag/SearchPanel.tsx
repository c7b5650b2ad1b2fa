import { SearchX } from "lucide-react";
import { useState } from "react";
import { Link, useSearchParams } from "wouter";
import { Button } from "@/components/Button";
import { passageHref } from "@/components/Cite";
import { controlClass } from "@/components/Field";
import { Empty, ErrorPanel, Skeleton } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { plainPassage } from "@/lib/plain";
import { snippet } from "@/lib/snippet";
import type { Hit, KnowledgeBase } from "@/lib/types";
import { useSearch } from "./api";
import css from "./SearchPanel.module.css";

export function SearchPanel({ kb }: { kb: KnowledgeBase }) {
  const { t } = useI18n();
  const [params, setParams] = useSearchParams();
  const asked = params.get("q") ?? "";
  const [query, setQuery] = useState(asked);
  const { data, error, refetch, isFetching } = useSearch(kb.id, asked);
  return (
    <div className={css.panel}>
      <p className={css.lead}>{t("rag.searchLead")}</p>
      <form
        className={css.form}
        onSubmit={(event) => {
          event.preventDefault();
          setParams({ tab: "search", q: query.trim() });
        }}
      >
        <input
          type="search"
          data-slash
          className={controlClass}
          aria-label={t("rag.searchHint")}
          placeholder={t("rag.searchHint")}
          value={query}
          onChange={(event) => setQuery(event.target.value)}
        />
        <Button tone="primary" type="submit" busy={isFetching} disabled={!query.trim()}>
          {t("do.search")}
        </Button>
      </form>
      {error && <ErrorPanel error={error} retry={() => void refetch()} />}
      {isFetching && !data && <Skeleton lines={6} height={28} />}
      {data?.hits.length === 0 && <Empty icon={SearchX} title={t("rag.noHits")} hint={t("rag.noHitsHint")} />}
      <ol className={css.hits}>
        {data?.hits.map((hit, index) => (
          <HitRow key={hit.chunk_id} hit={hit} query={asked} rank={index + 1} />
        ))}
      </ol>
    </div>
  );
}

function HitRow({ hit, query, rank }: { hit: Hit; query: string; rank: number }) {
  const { t } = useI18n();
  const href = passageHref({ ...hit, n: rank, cited: false, quote_start: null, quote_end: null });
  return (
    <li>
      <Link href={href} className={css.hit}>
        <span className={css.where}>
          <b>{hit.doc_name}</b>
          {hit.page != null && <span>{t("cite.page", { page: hit.page })}</span>}
          {hit.heading && <span>§ {hit.heading}</span>}
        </span>
        <span className={css.text}>
          {snippet(plainPassage(hit.text), query).map((piece, at) =>
            piece.hit ? <mark key={at}>{piece.text}</mark> : piece.text,
          )}
        </span>
        <span className={css.scores}>
          <Score label={t("rag.score")} value={hit.score} bar />
          {hit.lexical != null && <Score label={t("rag.score.lexical")} value={hit.lexical} />}
          {hit.dense != null && <Score label={t("rag.score.dense")} value={hit.dense} />}
        </span>
      </Link>
    </li>
  );
}

function Score({ label, value, bar }: { label: string; value: number; bar?: boolean }) {
  return (
    <span className={css.score}>
      {label} <b>{value.toFixed(3)}</b>
      {bar && (
        <i aria-hidden>
          <i style={{ width: `${Math.min(1, Math.max(0, value)) * 100}%` }} />
        </i>
      )}
    </span>
  );
}
