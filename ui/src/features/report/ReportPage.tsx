import { ChartColumn, FilePlus2, Trash2 } from "lucide-react";
import { useRef, useState } from "react";
import { Link, useLocation } from "wouter";
import { Beside } from "@/components/Beside";
import { Button, IconButton } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Field } from "@/components/Field";
import { Page } from "@/components/Page";
import { Empty, ErrorPanel, Skeleton } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import {
  useAddSource,
  useDeleteReport,
  useMakeReport,
  useRemoveSource,
  useReports,
  useSchema,
  useSources,
  type Source,
} from "./api";
import { AskTable } from "./AskTable";
import css from "./Report.module.css";

const ACCEPTED = ".csv,.tsv,.xlsx,.xlsm,.xlsb,.ods,.db,.sqlite,.sqlite3";
const SAMPLES = ["shop", "school", "power"] as const;

export default function ReportPage({ source: wanted }: { source?: string }) {
  const { t, say } = useI18n();
  const [, go] = useLocation();
  const sources = useSources();
  const add = useAddSource();
  const input = useRef<HTMLInputElement>(null);
  const [kept, setKept] = useState<readonly string[]>([]);
  const source = sources.data?.find(({ id }) => id === wanted) ?? sources.data?.[0];
  const bring = (what: File | string) => add.mutate(what, { onSuccess: ({ id }) => go(`/report/${id}`) });
  return (
    <Page
      title={t("report.title")}
      lead={t("report.lead")}
      actions={
        <Button tone="primary" icon={FilePlus2} busy={add.isPending} onClick={() => input.current?.click()}>
          {t("report.add")}
        </Button>
      }
    >
      <input
        ref={input}
        type="file"
        hidden
        accept={ACCEPTED}
        data-testid="report-file"
        onChange={(event) => {
          const file = event.target.files?.[0];
          if (file) bring(file);
          event.target.value = "";
        }}
      />
      {add.error && <ErrorPanel error={add.error} />}
      {sources.error && <ErrorPanel error={sources.error} retry={() => void sources.refetch()} />}
      {sources.isPending && <Skeleton lines={3} height={40} />}
      {sources.data?.length === 0 && (
        <Empty icon={ChartColumn} title={t("report.none")} hint={t("report.noneHint")}>
          {SAMPLES.map((name) => (
            <Button key={name} onClick={() => bring(name)} data-testid={`sample-${name}`}>
              {t(`report.sample.${name}`)}
            </Button>
          ))}
        </Empty>
      )}
      {source && (
        <Beside
          title={t("report.sources")}
          entries={(sources.data ?? []).map(({ id, name }) => ({ id, name, href: `/report/${id}` }))}
          shown={source.id}
          facts={
            <>
              <SourceFacts source={source} />
              {source.notes?.map((note, index) => (
                <p key={index} className={css.warning}>
                  {say(note)}
                </p>
              ))}
            </>
          }
        >
          <section>
            <AskTable
              key={source.id}
              source={source}
              kept={kept}
              onKeep={(question) => setKept((old) => [...old, question])}
            />
            {kept.length > 0 && <MakeReport source={source} questions={kept} />}
            <MadeReports />
          </section>
        </Beside>
      )}
    </Page>
  );
}

function SourceFacts({ source }: { source: Source }) {
  const { t } = useI18n();
  const schema = useSchema(source.id);
  const remove = useRemoveSource();
  if (schema.error) return <ErrorPanel error={schema.error} />;
  return (
    <div className={css.facts}>
      {schema.data?.tables.map((one) => (
        <details key={one.name} open={schema.data.tables.length < 4}>
          <summary>
            {one.name} <small>{t("report.rows", { n: one.num_rows })}</small>
          </summary>
          <ul>
            {one.columns.map((column) => (
              <li key={column.name} title={column.values?.join(", ")}>
                {column.name} <small>{t(`report.kind.${column.kind}`)}</small>
              </li>
            ))}
          </ul>
        </details>
      ))}
      <Button small tone="ghost" icon={Trash2} onClick={() => remove.mutate(source.id)}>
        {t("report.remove", { name: source.name })}
      </Button>
    </div>
  );
}

function MakeReport({ source, questions }: { source: Source; questions: readonly string[] }) {
  const { t } = useI18n();
  const [, go] = useLocation();
  const make = useMakeReport();
  const [open, setOpen] = useState(false);
  const [title, setTitle] = useState("");
  const [hours, setHours] = useState("");
  const submit = () =>
    make.mutate(
      { title: title.trim() || source.name, source: source.id, questions, every_hours: hours ? Number(hours) : null },
      { onSuccess: ({ report }) => go(`/report/made/${report.id}`) },
    );
  return (
    <>
      <Button tone="primary" icon={ChartColumn} onClick={() => setOpen(true)}>
        {t("report.make", { n: questions.length })}
      </Button>
      <Dialog
        open={open}
        onClose={() => setOpen(false)}
        title={t("report.make", { n: questions.length })}
        onSubmit={submit}
        actions={
          <Button tone="primary" type="submit" busy={make.isPending}>
            {t("do.create")}
          </Button>
        }
      >
        <Field label={t("report.makeTitle")}>
          {(props) => (
            <input
              {...props}
              value={title}
              placeholder={source.name}
              onChange={(event) => setTitle(event.target.value)}
            />
          )}
        </Field>
        <Field label={t("report.every")}>
          {(props) => (
            <input
              {...props}
              type="number"
              min={1}
              max={744}
              value={hours}
              onChange={(event) => setHours(event.target.value)}
            />
          )}
        </Field>
        {make.error && <ErrorPanel error={make.error} />}
      </Dialog>
    </>
  );
}

function MadeReports() {
  const { t } = useI18n();
  const reports = useReports();
  const remove = useDeleteReport();
  if (!reports.data?.length) return null;
  return (
    <section className={css.made}>
      <h2>{t("report.made")}</h2>
      <ul>
        {reports.data.map((report) => (
          <li key={report.id}>
            <Link href={`/report/made/${report.id}`}>{report.title}</Link>
            <small>
              {t("report.sections", { n: report.sections.length, of: report.questions.length })}
              {report.every_hours != null && ` · ${t("report.schedule", { n: report.every_hours })}`}
            </small>
            <IconButton
              small
              icon={Trash2}
              label={t("report.remove", { name: report.title })}
              onClick={() => remove.mutate(report.id)}
            />
          </li>
        ))}
      </ul>
    </section>
  );
}
