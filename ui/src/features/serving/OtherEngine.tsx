import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Cpu } from "lucide-react";
import { useState } from "react";
import { Link } from "wouter";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Field } from "@/components/Field";
import { ErrorPanel } from "@/components/states";
import { api, ApiError } from "@/lib/api";
import { usableFirst } from "@/lib/engines";
import { useI18n } from "@/lib/i18n";
import { useEngines, useModels } from "@/lib/queries";
import type { Offered } from "./offered";

interface OtherEngineProps {
  offered: readonly Offered[];
  first: string;
  onMade: (name: string) => void;
}

/** A name is served by one engine at a time: to compare engines, the same weights get a second name. */
export function OtherEngine({ offered, first, onMade }: OtherEngineProps) {
  const { t } = useI18n();
  const [open, setOpen] = useState(false);
  return (
    <>
      <Button small icon={Cpu} onClick={() => setOpen(true)}>
        {t("play.otherEngine")}
      </Button>
      {open && (
        <EngineDialog
          offered={offered}
          first={first}
          onClose={() => setOpen(false)}
          onMade={(name) => {
            setOpen(false);
            onMade(name);
          }}
        />
      )}
    </>
  );
}

function EngineDialog({ offered, first, onClose, onMade }: OtherEngineProps & { onClose: () => void }) {
  const { t, say } = useI18n();
  const queries = useQueryClient();
  const models = (useModels().data ?? []).filter(({ supported }) => supported);
  const engines = useEngines().data?.filter(({ is_process }) => is_process);
  const [model, setModel] = useState(first);
  const source = models.find(({ name }) => name === model) ?? models[0];
  const here = engines?.filter(({ installed }) => installed);
  const other = here?.find(({ name }) => name !== source?.engine) ?? here?.[0];
  const [wanted, setWanted] = useState<string | null>(null);
  const engine = wanted ?? other?.name;

  const make = useMutation({
    mutationFn: async () => {
      if (!source || !engine) return "";
      const name = `${source.name}-${engine}`;
      if (!offered.some((one) => one.name === name)) {
        try {
          await api.post("/models/import", { path: source.path, name });
        } catch (error) {
          // Made meanwhile, by another window: it is the same.
          if (!(error instanceof ApiError && error.status === 409)) throw error;
        }
      }
      await api.post(`/models/${encodeURIComponent(name)}/start`, { engine });
      return name;
    },
    onSuccess: async (name) => {
      await queries.invalidateQueries({ queryKey: ["models"] });
      onMade(name);
    },
  });
  return (
    <Dialog
      open
      onClose={onClose}
      title={t("play.otherEngineOf", { model: source?.name ?? "" })}
      hint={t("play.otherEngineHint")}
      onSubmit={() => make.mutate()}
      actions={
        <>
          <Button onClick={onClose}>{t("do.cancel")}</Button>
          <Button tone="primary" type="submit" busy={make.isPending} disabled={!source || !engine}>
            {t("play.addColumn")}
          </Button>
        </>
      }
    >
      <Field label={t("play.model")}>
        {(props) => (
          <select {...props} value={source?.name ?? ""} onChange={(event) => setModel(event.target.value)}>
            {models.map(({ name }) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        )}
      </Field>
      <Field label={t("play.engine")} hint={here?.length === 1 ? t("play.oneEngine") : undefined}>
        {(props) => (
          <select {...props} value={engine ?? ""} onChange={(event) => setWanted(event.target.value)}>
            {usableFirst(engines ?? []).map(({ name, title, installed }) => (
              <option key={name} value={name} disabled={!installed}>
                {installed ? say(title) : `${say(title)} · ${t("play.notInstalled")}`}
              </option>
            ))}
          </select>
        )}
      </Field>
      {here?.length === 1 && <Link href="/models">{t("play.toEngines")}</Link>}
      {make.error && <ErrorPanel error={make.error} />}
    </Dialog>
  );
}
