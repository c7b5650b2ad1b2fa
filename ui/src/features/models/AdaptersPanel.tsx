import { Plug, Unplug } from "lucide-react";
import { useState } from "react";
import { Badge } from "@/components/Badge";
import { Button } from "@/components/Button";
import { Field } from "@/components/Field";
import { ErrorPanel, Skeleton } from "@/components/states";
import { bytes } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import type { Model } from "@/lib/types";
import { useAdapters, useLoadAdapter, useLoadedAdapters, useUnloadAdapter } from "./api";
import css from "./AdaptersPanel.module.css";

/** The model's adapters: those served now, those on this machine, and any folder by its path. */
export function AdaptersPanel({ model }: { model: Model }) {
  const { t } = useI18n();
  const loaded = useLoadedAdapters(model.name);
  const here = useAdapters();
  const load = useLoadAdapter(model.name);
  const unload = useUnloadAdapter();
  const runs = model.state === "ready" || model.state === "starting";
  const error = loaded.error ?? here.error;
  if (error) return <ErrorPanel error={error} retry={() => void loaded.refetch()} />;
  if (!loaded.data || !here.data) return <Skeleton lines={3} />;
  const names = new Set(loaded.data.map(({ name }) => name));
  const others = here.data.filter(({ name }) => !names.has(name));
  const busy = load.isPending || unload.isPending;
  return (
    <div className={css.adapters}>
      <p className={css.hint}>{t(runs ? "models.adaptersHint" : "models.needRunning")}</p>
      {(load.error ?? unload.error) && <ErrorPanel error={load.error ?? unload.error} />}
      {loaded.data.length === 0 && <p className={css.hint}>{t("models.loadedNone")}</p>}
      <ul className={css.list}>
        {loaded.data.map(({ name, path }) => (
          <li key={name} data-adapter={name}>
            <span className={css.words}>
              <b>{name}</b>
              <Badge tone="ok">{t("models.loaded")}</Badge>
              {path && <small>{path}</small>}
            </span>
            <Button small icon={Unplug} disabled={busy} onClick={() => unload.mutate(name)}>
              {t("models.unload")}
            </Button>
          </li>
        ))}
      </ul>
      {(others.length > 0 || here.data.length === 0) && <h3>{t("models.adaptersHere")}</h3>}
      {here.data.length === 0 && <p className={css.hint}>{t("models.adaptersNone")}</p>}
      <ul className={css.list}>
        {others.map((adapter) => (
          <li key={adapter.name} data-adapter={adapter.name}>
            <span className={css.words}>
              <b>{adapter.name}</b>
              <small>
                {[
                  adapter.kind,
                  adapter.rank !== null && t("models.rank", { n: adapter.rank }),
                  bytes(adapter.size_bytes),
                  adapter.base_model,
                ]
                  .filter(Boolean)
                  .join(" · ")}
              </small>
            </span>
            <Button small icon={Plug} disabled={!runs || busy} onClick={() => load.mutate(adapter)}>
              {t("models.load")}
            </Button>
          </li>
        ))}
      </ul>
      <h3>{t("models.adapterByPath")}</h3>
      <ByPath disabled={!runs || busy} onLoad={(name, path) => load.mutate({ name, path })} />
    </div>
  );
}

function ByPath({ disabled, onLoad }: { disabled: boolean; onLoad: (name: string, path: string) => void }) {
  const { t } = useI18n();
  const [name, setName] = useState("");
  const [path, setPath] = useState("");
  return (
    <form
      className={css.form}
      onSubmit={(event) => {
        event.preventDefault();
        onLoad(name.trim(), path.trim());
      }}
    >
      <Field label={t("models.adapterName")}>
        {(props) => (
          <input {...props} spellCheck={false} value={name} onChange={(event) => setName(event.target.value)} />
        )}
      </Field>
      <Field label={t("models.adapterPath")}>
        {(props) => (
          <input {...props} spellCheck={false} value={path} onChange={(event) => setPath(event.target.value)} />
        )}
      </Field>
      <Button icon={Plug} type="submit" disabled={disabled || !name.trim() || !path.trim()}>
        {t("models.load")}
      </Button>
    </form>
  );
}
