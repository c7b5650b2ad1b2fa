import { FileDown, RotateCw } from "lucide-react";
import { Button } from "@/components/Button";
import { JobLine } from "@/components/JobLine";
import { Page } from "@/components/Page";
import { ErrorPanel, Skeleton } from "@/components/states";
import { download } from "@/lib/api";
import { useI18n } from "@/lib/i18n";
import { isActive } from "@/lib/jobs";
import { useJobs } from "@/lib/queries";
import { toast } from "@/lib/toast";
import { useMakeAgain, useReport } from "./api";
import { SectionCard } from "./SectionCard";
import css from "./Report.module.css";

const FORMATS = ["html", "docx", "pdf"] as const;

export default function MadePage({ id }: { id: string }) {
  const { t } = useI18n();
  const report = useReport(id);
  const again = useMakeAgain();
  const job = (useJobs().data ?? []).find((one) => one.kind === "report" && one.params.report === id && isActive(one));
  if (report.error) return <Page title={t("report.title")}>{<ErrorPanel error={report.error} />}</Page>;
  if (!report.data) return <Page title={t("report.title")}>{<Skeleton />}</Page>;
  const { title, sections, questions } = report.data;
  const isWhole = sections.length === questions.length;
  const save = (format: string) =>
    download(`/report/reports/${id}/file?format=${format}`, `${title}.${format}`).catch((error: unknown) =>
      toast(error instanceof Error ? error.message : String(error), "bad"),
    );
  return (
    <Page
      narrow
      title={title}
      lead={t("report.sections", { n: sections.length, of: questions.length })}
      actions={
        <>
          {isWhole &&
            FORMATS.map((format) => (
              <Button key={format} small icon={FileDown} onClick={() => void save(format)}>
                {format.toUpperCase()}
              </Button>
            ))}
          <Button small icon={RotateCw} busy={again.isPending || !!job} onClick={() => again.mutate(id)}>
            {t("report.again")}
          </Button>
        </>
      }
    >
      {again.error && <ErrorPanel error={again.error} />}
      {job && <JobLine job={job} />}
      <div className={css.sections}>
        {sections.map((section, index) => (
          <SectionCard key={index} section={section} />
        ))}
      </div>
    </Page>
  );
}
