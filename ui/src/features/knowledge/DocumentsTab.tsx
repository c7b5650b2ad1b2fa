import { LockKeyhole, RefreshCw } from "lucide-react";
import { Button } from "@/components/Button";
import { Empty, ErrorPanel, Skeleton } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { useChange, useDocuments, type Me } from "./api";
import css from "./Enterprise.module.css";

/** What the person may read; an editor can have the sources read again. */
export function DocumentsTab({ me }: { me: Me }) {
  const { t } = useI18n();
  const documents = useDocuments();
  const change = useChange();
  const isEditor = me.person?.role !== "reader";
  if (documents.error) return <ErrorPanel error={documents.error} />;
  if (!documents.data) return <Skeleton lines={5} />;
  if (me.kbs.length === 0) return <Empty icon={LockKeyhole} title={t("know.nothing")} hint={t("know.nothingHint")} />;
  return (
    <div className={css.column}>
      {me.kbs.map((kb) => (
        <section key={String(kb.id)}>
          <h2>{String(kb.name)}</h2>
          {isEditor && Boolean(kb.whole) && (
            <Button
              small
              icon={RefreshCw}
              onClick={() => change.mutate({ method: "post", path: `/kbs/${String(kb.id)}/sync` })}
            >
              {t("know.sync", { name: String(kb.name) })}
            </Button>
          )}
          <ul className={css.rows}>
            {documents.data
              .filter(({ kb_id }) => kb_id === kb.id)
              .map((one) => (
                <li key={one.doc_id}>
                  <span>{one.name}</span>
                  <small>
                    {t("know.version", { n: one.version })} · {one.added_at.slice(0, 10)}
                    {one.source && ` · ${one.source}`}
                  </small>
                </li>
              ))}
          </ul>
        </section>
      ))}
      {change.error && <ErrorPanel error={change.error} />}
    </div>
  );
}
