import { CodeXml, FolderPlus, RotateCw, Trash2 } from "lucide-react";
import { useState } from "react";
import { useLocation } from "wouter";
import { Beside } from "@/components/Beside";
import { Button } from "@/components/Button";
import { Confirm, Dialog } from "@/components/Dialog";
import { Field } from "@/components/Field";
import { JobLine } from "@/components/JobLine";
import { Page } from "@/components/Page";
import { TabPanel, Tabs } from "@/components/Tabs";
import { Empty, ErrorPanel, Skeleton } from "@/components/states";
import { useI18n, type Key } from "@/lib/i18n";
import { isActive } from "@/lib/jobs";
import { useJobs } from "@/lib/queries";
import { AskCode } from "./AskCode";
import { EditCode } from "./EditCode";
import { FileDialog, type Place } from "./FileDialog";
import { SearchCode } from "./SearchCode";
import { useAddRepo, useFiles, useReadAgain, useRemoveRepo, useRepos, type Repo } from "./api";
import css from "./Coder.module.css";

export default function CoderPage({ repo: wanted }: { repo?: string }) {
  const { t } = useI18n();
  const [, go] = useLocation();
  const repos = useRepos();
  const add = useAddRepo();
  const [adding, setAdding] = useState(false);
  const repo = repos.data?.find(({ id }) => id === wanted) ?? repos.data?.[0];
  return (
    <Page
      title={t("coder.title")}
      lead={t("coder.lead")}
      actions={
        <Button tone="primary" icon={FolderPlus} onClick={() => setAdding(true)}>
          {t("coder.add")}
        </Button>
      }
    >
      {repos.error && <ErrorPanel error={repos.error} retry={() => void repos.refetch()} />}
      {repos.isPending && <Skeleton lines={3} height={40} />}
      {repos.data?.length === 0 && (
        <Empty icon={CodeXml} title={t("coder.none")} hint={t("coder.noneHint")}>
          <Button
            busy={add.isPending}
            onClick={() => add.mutate(null, { onSuccess: ({ repo: made }) => go(`/coder/${made.id}`) })}
            data-testid="coder-sample"
          >
            {t("coder.sample")}
          </Button>
        </Empty>
      )}
      {add.error && !adding && <ErrorPanel error={add.error} />}
      {repo && (
        <Beside
          title={t("coder.repos")}
          entries={(repos.data ?? []).map(({ id, name }) => ({ id, name, href: `/coder/${id}` }))}
          shown={repo.id}
          facts={<RepoFacts key={repo.id} repo={repo} />}
        >
          <Work key={repo.id} repo={repo} />
        </Beside>
      )}
      {adding && <AddDialog onClose={() => setAdding(false)} onAdded={(id) => go(`/coder/${id}`)} />}
    </Page>
  );
}

function Work({ repo }: { repo: Repo }) {
  const { t } = useI18n();
  const [tab, setTab] = useState("ask");
  const [place, setPlace] = useState<Place | null>(null);
  return (
    <section>
      <Tabs
        value={tab}
        onChange={setTab}
        label={t("coder.title")}
        tabs={[
          { value: "ask", label: t("coder.tab.ask") },
          { value: "search", label: t("coder.tab.search") },
          { value: "edit", label: t("coder.tab.edit") },
        ]}
      >
        <TabPanel value="ask" className={css.panel} forceMount hidden={tab !== "ask"}>
          <AskCode repo={repo} onOpen={setPlace} />
        </TabPanel>
        <TabPanel value="search" className={css.panel}>
          <SearchCode repo={repo} onOpen={setPlace} />
        </TabPanel>
        <TabPanel value="edit" className={css.panel}>
          <EditCode repo={repo} />
        </TabPanel>
      </Tabs>
      {place && <FileDialog repo={repo.id} place={place} onClose={() => setPlace(null)} />}
    </section>
  );
}

function RepoFacts({ repo }: { repo: Repo }) {
  const { t } = useI18n();
  const jobs = useJobs();
  const files = useFiles(repo.id);
  const again = useReadAgain();
  const remove = useRemoveRepo();
  const [, go] = useLocation();
  const [asking, setAsking] = useState(false);
  const job = jobs.data?.find(({ id }) => id === repo.job_id);
  const plain = files.data?.filter(({ problem }) => problem === "zhilu[coder]").length ?? 0;
  return (
    <div className={css.facts}>
      <p className={css.root}>{repo.root}</p>
      {repo.indexed_at && (
        <p data-testid="coder-size">
          {t("coder.size", { files: repo.num_files, symbols: repo.num_symbols, lines: repo.num_lines })}
        </p>
      )}
      {Object.keys(repo.left_out ?? {}).length > 0 && (
        <p>
          {t("coder.leftOut")}:{" "}
          {Object.entries(repo.left_out ?? {})
            .map(([why, n]) => `${t(`coder.left.${why}` as Key)} ${n}`)
            .join(", ")}
        </p>
      )}
      {plain > 0 && <p className={css.warning}>{t("coder.noSymbols", { n: plain })}</p>}
      {job && (isActive(job) || job.status === "failed") && <JobLine job={job} />}
      {again.error && <ErrorPanel error={again.error} />}
      <Button small tone="ghost" icon={RotateCw} busy={again.isPending} onClick={() => again.mutate(repo.id)}>
        {t("coder.again")}
      </Button>
      <Button small tone="ghost" icon={Trash2} onClick={() => setAsking(true)}>
        {t("coder.remove", { name: repo.name })}
      </Button>
      <Confirm
        open={asking}
        onClose={() => setAsking(false)}
        title={t("coder.remove", { name: repo.name })}
        verb={t("coder.remove", { name: repo.name })}
        busy={remove.isPending}
        onConfirm={() => remove.mutate(repo.id, { onSuccess: () => go("/coder") })}
      />
    </div>
  );
}

function AddDialog({ onClose, onAdded }: { onClose: () => void; onAdded: (id: string) => void }) {
  const { t } = useI18n();
  const add = useAddRepo();
  const [root, setRoot] = useState("");
  const [name, setName] = useState("");
  const submit = () => {
    if (!root.trim()) return;
    add.mutate(
      { root: root.trim(), name: name.trim() || null },
      {
        onSuccess: ({ repo }) => {
          onClose();
          onAdded(repo.id);
        },
      },
    );
  };
  return (
    <Dialog
      open
      onClose={onClose}
      title={t("coder.add")}
      hint={t("coder.addHint")}
      onSubmit={submit}
      actions={
        <Button tone="primary" type="submit" busy={add.isPending} disabled={!root.trim()}>
          {t("coder.add")}
        </Button>
      }
    >
      <Field label={t("coder.folder")}>
        {(props) => <input {...props} autoFocus value={root} onChange={(event) => setRoot(event.target.value)} />}
      </Field>
      <Field label={t("coder.name")}>
        {(props) => <input {...props} value={name} maxLength={60} onChange={(event) => setName(event.target.value)} />}
      </Field>
      {add.error && <ErrorPanel error={add.error} />}
    </Dialog>
  );
}
