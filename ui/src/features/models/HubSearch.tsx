import { Download } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/Button";
import { controlClass } from "@/components/Field";
import { SearchField } from "@/components/SearchField";
import { Segments } from "@/components/Segments";
import { ErrorPanel, Skeleton, useErrorText } from "@/components/states";
import { count } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import { toast } from "@/lib/toast";
import type { HubModel } from "@/lib/types";
import { useHubSearch, usePullModel, type Format } from "./api";
import css from "./Catalogue.module.css";

/** Any model of the hub, by name; says so where the hub does not answer. */
export function HubSearch() {
  const { t } = useI18n();
  const [typed, setTyped] = useState("");
  const [words, setWords] = useState("");
  const [format, setFormat] = useState<Format>("gguf");
  const found = useHubSearch(words, format);
  return (
    <section className={css.section}>
      <h2>{t("models.search")}</h2>
      <p className={css.hint}>{t("models.searchHint")}</p>
      <div className={css.bar}>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            setWords(typed.trim());
          }}
        >
          <SearchField label={t("models.searchField")} value={typed} onChange={setTyped} />
        </form>
        <Segments
          label={t("models.searchFormat")}
          value={format}
          onChange={setFormat}
          options={[
            { value: "gguf", label: "GGUF" },
            { value: "safetensors", label: "safetensors" },
          ]}
        />
      </div>
      {found.error && <ErrorPanel error={found.error} retry={() => void found.refetch()} />}
      {found.isFetching && <Skeleton lines={2} height={40} />}
      {found.data?.length === 0 && <p className={css.hint}>{t("models.searchNone")}</p>}
      <ul>
        {found.data?.map((model) => (
          <li key={model.repo} className={css.row}>
            <FoundModel model={model} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function FoundModel({ model: { repo, downloads, license, gated, files } }: { model: HubModel }) {
  const { t } = useI18n();
  const errorText = useErrorText();
  const pull = usePullModel();
  const usual = files.find((file) => /q4_k_m/i.test(file)) ?? files[0];
  const [file, setFile] = useState(usual);
  const get = () =>
    pull.mutate({ source: "hf", repo, file }, { onError: (error) => toast(errorText(error).text, "bad") });
  return (
    <>
      <span>
        {repo}
        <small>
          {[t("models.downloads", { n: count(downloads) }), license, gated && t("models.gated")]
            .filter(Boolean)
            .join(" · ")}
        </small>
      </span>
      {files.length > 0 && (
        <select
          className={controlClass}
          aria-label={t("models.file", { name: repo })}
          value={file}
          onChange={(event) => setFile(event.target.value)}
        >
          {files.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      )}
      <Button
        small
        icon={Download}
        busy={pull.isPending}
        aria-label={t("models.getNamed", { name: repo })}
        onClick={get}
      >
        {t("models.get")}
      </Button>
    </>
  );
}
