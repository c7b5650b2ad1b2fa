import { useState } from "react";
import { Link, useLocation } from "wouter";
import { DocumentView, namesPassage } from "@/components/DocumentView";
import { Segments } from "@/components/Segments";
import { ErrorPanel, Skeleton } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import type { Document } from "@/lib/types";
import { useTables, useText } from "./api";
import { placeHref } from "./places";
import { SummaryPane } from "./SummaryPane";
import css from "./Docqa.module.css";

const VIEWS = ["text", "tables", "summary"] as const;
type View = (typeof VIEWS)[number];

interface DocumentPaneProps {
  kb: string;
  doc: string;
  documents: readonly Document[];
  params: URLSearchParams;
}

/** One document: its text with the place of an answer, its tables, its summary. A new place always shows the text. */
export function DocumentPane({ kb, doc, documents, params }: DocumentPaneProps) {
  const { t } = useI18n();
  const [, go] = useLocation();
  const where = params.toString();
  const [chosen, setChosen] = useState<{ view: View; at: string }>({ view: "text", at: where });
  const view = namesPassage(params) && chosen.at !== where ? "text" : chosen.view;
  return (
    <section className={css.pane}>
      <div className={css.bar}>
        <select
          aria-label={t("docqa.document")}
          value={doc}
          onChange={({ target }) => go(`/docqa/${kb}?doc=${target.value}`)}
        >
          {documents.map(({ id, name }) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </select>
        <Segments
          label={t("docqa.view")}
          value={view}
          onChange={(next) => setChosen({ view: next, at: where })}
          options={VIEWS.map((value) => ({ value, label: t(`docqa.${value}`) }))}
        />
      </div>
      {view === "text" && <TextPane kb={kb} doc={doc} params={params} />}
      {view === "tables" && <TablesPane kb={kb} doc={doc} />}
      {view === "summary" && <SummaryPane kb={kb} doc={doc} />}
    </section>
  );
}

function TextPane({ kb, doc, params }: Omit<DocumentPaneProps, "documents">) {
  const { data, error, refetch } = useText(kb, doc);
  if (error) return <ErrorPanel error={error} retry={() => void refetch()} />;
  return data ? <DocumentView plain document={data} params={params} /> : <Skeleton lines={12} />;
}

function TablesPane({ kb, doc }: { kb: string; doc: string }) {
  const { t } = useI18n();
  const { data, error } = useTables(kb, doc);
  if (error) return <ErrorPanel error={error} />;
  if (!data) return <Skeleton lines={6} />;
  return (
    <div className={css.inner}>
      {!data.length && <p className={css.hint}>{t("docqa.noTables")}</p>}
      {data.map((table) => (
        <figure key={table.start}>
          <figcaption>
            <strong>{table.heading}</strong> {t("docqa.rows", { n: table.num_rows })} ·{" "}
            <Link href={placeHref(kb, doc, table.start, table.start + 1)}>{t("docqa.showTable")}</Link>
          </figcaption>
          <div className={css.grid}>
            <table>
              <thead>
                <tr>
                  {table.columns.map((name, index) => (
                    <th key={index} scope="col">
                      {name}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {table.rows.map((row, index) => (
                  <tr key={index}>
                    {row.map((cell, place) => (
                      <td key={place}>{cell}</td>
                    ))}
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          {table.rows.length < table.num_rows && (
            <p className={css.hint}>{t("docqa.moreRows", { n: table.rows.length })}</p>
          )}
        </figure>
      ))}
    </div>
  );
}
