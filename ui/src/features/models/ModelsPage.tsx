import { Download, FolderInput, Plug } from "lucide-react";
import { useLocation, useSearchParams } from "wouter";
import { Button } from "@/components/Button";
import { JobLine } from "@/components/JobLine";
import { Page } from "@/components/Page";
import { ErrorPanel, Skeleton } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { isActive } from "@/lib/jobs";
import { useJobs, useModels, useStatus } from "@/lib/queries";
import type { Job } from "@/lib/types";
import { AddApiDialog } from "./AddApiDialog";
import { Apis } from "./Apis";
import { ImportDialog } from "./ImportDialog";
import { ModelCard } from "./ModelCard";
import { ModelDrawer } from "./ModelDrawer";
import { Engines } from "./Engines";
import { Catalogue } from "./Catalogue";
import { HubSearch } from "./HubSearch";
import css from "./ModelsPage.module.css";
import { PullDialog } from "./PullDialog";

const PULLS: readonly string[] = ["model-pull", "first-model"];
const FRESH_MS = 10 * 60_000;

export default function ModelsPage({ name }: { name?: string }) {
  const { t } = useI18n();
  const [, go] = useLocation();
  const [params, setParams] = useSearchParams();
  const { data, error, refetch, isPending } = useModels();
  const standard = useStatus().data?.model.name;
  const jobs = useJobs();
  // A pull that failed just now stays in sight with its reason.
  const isFresh = ({ status, finished_at }: Job) =>
    status === "failed" && jobs.dataUpdatedAt - Date.parse(finished_at ?? "") < FRESH_MS;
  const pulls = (jobs.data ?? []).filter((job) => PULLS.includes(job.kind) && (isActive(job) || isFresh(job)));
  const doing = params.get("do");
  const close = () => setParams({});
  return (
    <Page
      title={t("models.title")}
      lead={t("models.lead")}
      actions={
        <>
          <Button icon={FolderInput} onClick={() => setParams({ do: "import" })}>
            {t("models.import")}
          </Button>
          <Button icon={Plug} onClick={() => setParams({ do: "api" })}>
            {t("model.addApi")}
          </Button>
          <Button tone="primary" icon={Download} onClick={() => setParams({ do: "pull" })}>
            {t("models.pull")}
          </Button>
        </>
      }
    >
      {error && <ErrorPanel error={error} retry={() => void refetch()} />}
      {isPending && <Skeleton lines={4} height={60} />}
      {pulls.length > 0 && (
        <section className={css.pulls} aria-label={t("models.pulling")}>
          {pulls.map((job) => (
            <JobLine key={job.id} job={job} />
          ))}
        </section>
      )}
      <ul className={css.list}>
        {data?.map((model) => (
          <li key={model.name}>
            <ModelCard model={model} isDefault={model.name === standard} />
          </li>
        ))}
      </ul>
      <Apis />
      <Catalogue />
      <HubSearch />
      <details className={css.engines}>
        <summary>{t("models.engines")}</summary>
        <Engines />
      </details>
      <PullDialog key={params.get("repo")} open={doing === "pull"} first={params.get("repo") ?? ""} onClose={close} />
      {doing === "api" && <AddApiDialog onClose={close} />}
      <ImportDialog open={doing === "import"} onClose={close} />
      {name && <ModelDrawer name={name} onClose={() => go("/models")} />}
    </Page>
  );
}
