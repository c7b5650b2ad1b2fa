import { FileText } from "lucide-react";
import { HoverCard } from "radix-ui";
import { createContext, useContext, type ComponentProps } from "react";
import { Link } from "wouter";
import { useI18n } from "@/lib/i18n";
import { plainPassage } from "@/lib/plain";
import type { Citation } from "@/lib/types";
import css from "./Cite.module.css";

/** The address of a passage in its document: the viewer scrolls to it and marks it. */
export function passageHref({ kb_id, doc_id, start, end, quote_start, quote_end, page }: Citation): string {
  const query = new URLSearchParams({ start: String(start), end: String(end) });
  if (quote_start != null && quote_end != null) {
    query.set("quote", `${quote_start}-${quote_end}`);
  }
  if (page != null) query.set("page", String(page));
  return `/knowledge/${kb_id}/documents/${doc_id}?${query}`;
}

/** How a page opens passages of documents, where it shows documents itself. */
export const PassageHref = createContext(passageHref);

/** A passage of a document opens in the viewer, one of a web page opens that page in a tab of its own. */
function PassageLink({ citation, ...rest }: { citation: Citation } & Omit<ComponentProps<"a">, "href">) {
  const hrefOf = useContext(PassageHref);
  if (citation.url && /^https?:/.test(citation.url))
    return <a {...rest} href={citation.url} target="_blank" rel="noopener noreferrer nofollow" />;
  if (citation.url) return <span {...rest} />; // a file of the folder that was searched: the browser opens none
  return <Link {...rest} href={hrefOf(citation)} />;
}

/** `[n]` in an answer: hover or focus shows the passage, a click opens the document there. */
export function CiteChip({ citation }: { citation: Citation }) {
  const { t } = useI18n();
  return (
    <HoverCard.Root openDelay={150} closeDelay={120}>
      <HoverCard.Trigger asChild>
        <PassageLink
          citation={citation}
          className={css.chip}
          aria-label={t("cite.chip", { n: citation.n, name: citation.doc_name })}
        >
          {citation.n}
        </PassageLink>
      </HoverCard.Trigger>
      <HoverCard.Portal>
        <HoverCard.Content className={css.card} sideOffset={6} collisionPadding={12}>
          <Place citation={citation} />
          <p className={css.text}>{plainPassage(citation.text)}</p>
          <small>{t("cite.open")} →</small>
        </HoverCard.Content>
      </HoverCard.Portal>
    </HoverCard.Root>
  );
}

function Place({ citation }: { citation: Citation }) {
  const { t } = useI18n();
  return (
    <span className={css.place}>
      <FileText size={13} aria-hidden />
      <b>{citation.doc_name}</b>
      {citation.page != null && <span>{t("cite.page", { page: citation.page })}</span>}
      {citation.heading && <span className={css.heading}>{citation.heading}</span>}
      {citation.url && <span className={css.heading}>{citation.url}</span>}
    </span>
  );
}

/** The passages under an answer: those it cites stand open, the others it was given are counted and fold out. */
export function Sources({ citations }: { citations: readonly Citation[] }) {
  const { t } = useI18n();
  const cited = citations.filter((citation) => citation.cited);
  const others = citations.filter((citation) => !citation.cited);
  if (!citations.length) return null;
  return (
    <div className={css.sources}>
      {cited.length > 0 && (
        <>
          <h3>{t("cite.sources")}</h3>
          <Rows citations={cited} />
        </>
      )}
      {others.length > 0 && (
        <details>
          <summary>{t(cited.length ? "cite.alsoRead" : "cite.read", { count: others.length })}</summary>
          <Rows citations={others} />
        </details>
      )}
    </div>
  );
}

function Rows({ citations }: { citations: readonly Citation[] }) {
  return (
    <ul>
      {citations.map((citation) => (
        <li key={citation.n}>
          <PassageLink citation={citation} className={css.row}>
            <span className={css.number}>{citation.n}</span>
            <span className={css.rowBody}>
              <Place citation={citation} />
              <span className={css.clip}>{plainPassage(citation.text)}</span>
            </span>
          </PassageLink>
        </li>
      ))}
    </ul>
  );
}
