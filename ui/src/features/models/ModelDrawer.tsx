import { Trash2 } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/Button";
import { Confirm, Dialog } from "@/components/Dialog";
import { Facts } from "@/components/Facts";
import { LogView } from "@/components/LogView";
import { Markdown } from "@/components/Markdown";
import { ErrorPanel, Skeleton } from "@/components/states";
import { TabPanel, Tabs } from "@/components/Tabs";
import { bytes, count, number } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import { useEngines } from "@/lib/queries";
import type { ModelDetails } from "@/lib/types";
import { useEngineReason, useModelDetails, useModelLog, useRemoveModel } from "./api";
import { AdaptersPanel } from "./AdaptersPanel";
import { gistOf } from "./failure";
import { LiveLine } from "./LiveLine";
import css from "./ModelsPage.module.css";
import { OptionsButton } from "./StartDialog";
import { originOf, StateBadge, SwitchButton, TryLink } from "./state";

export function ModelDrawer({ name, onClose }: { name: string; onClose: () => void }) {
  const { data, error, refetch } = useModelDetails(name);
  return (
    <Dialog open shape="panel" onClose={onClose} title={name}>
      {error && <ErrorPanel error={error} retry={() => void refetch()} />}
      {!data && !error && <Skeleton lines={6} />}
      {data && <Details model={data} onGone={onClose} />}
    </Dialog>
  );
}

const TABS = ["about", "adapters", "card", "config", "log"] as const;

function Details({ model, onGone }: { model: ModelDetails; onGone: () => void }) {
  const { t, say } = useI18n();
  const [tab, setTab] = useState<string>(model.state === "failed" ? "log" : "about");
  return (
    <div className={css.drawer}>
      <div className={css.tools}>
        <StateBadge state={model.state} />
        {model.supported && <SwitchButton model={model} />}
        {model.supported && <OptionsButton model={model} words />}
        {model.supported && <TryLink name={model.name} />}
        {!model.embedded && <RemoveButton model={model} onGone={onGone} />}
      </div>
      {!model.supported && <p className={css.why}>{say(model.why_not)}</p>}
      {model.state === "failed" && (
        <ErrorPanel title={t("model.notStarted", { model: model.name })} error={gistOf(say(model.detail))} />
      )}
      {model.state === "ready" && <LiveLine name={model.name} />}
      <Tabs
        className={css.tabs}
        label={model.name}
        value={tab}
        onChange={setTab}
        tabs={TABS.map((value) => ({ value, label: t(`models.tab.${value}`) }))}
      >
        <TabPanel value="about" className={css.panel}>
          <About model={model} />
        </TabPanel>
        <TabPanel value="adapters" className={css.panel}>
          <AdaptersPanel model={model} />
        </TabPanel>
        <TabPanel value="card" className={css.panel}>
          {say(model.card_markdown) ? (
            <Markdown text={bodyOf(say(model.card_markdown))} />
          ) : (
            <p>{t("models.noCard")}</p>
          )}
        </TabPanel>
        <TabPanel value="config" className={css.panel}>
          <pre className={css.config}>{JSON.stringify(model.config, null, 2)}</pre>
        </TabPanel>
        <TabPanel value="log" className={css.panel}>
          <Log model={model} />
        </TabPanel>
      </Tabs>
    </div>
  );
}

/** A card without the hub's YAML head. */
function bodyOf(card: string): string {
  return card.replace(/^---\n[\s\S]*?\n---\n/, "");
}

function About({ model }: { model: ModelDetails }) {
  const { t, say, lang } = useI18n();
  const engine = useEngines().data?.find(({ name }) => name === model.engine);
  const reason = useEngineReason(model.name, model.state === "ready" || model.state === "starting");
  const memory = model.memory_estimate;
  return (
    <>
      <Facts
        facts={[
          [t("models.parameters"), count(model.parameters || null)],
          [t("models.architecture"), model.architecture],
          [
            t("models.context"),
            model.context_length && t("models.contextTokens", { n: number(model.context_length, lang) }),
          ],
          [t("models.vocab"), model.vocab_size && number(model.vocab_size, lang)],
          [t("models.dtype"), model.dtype],
          [t("models.size"), bytes(model.size_bytes)],
          [t("models.license"), model.license],
          [t("models.engine"), engine ? say(engine.title) : model.engine],
          [t("models.reason"), say(reason)],
          [t("models.source"), t(originOf(model))],
          [t("models.path"), <code key="path">{model.path}</code>],
        ]}
      />
      {memory && (
        <>
          <h3>{t("models.memory")}</h3>
          <Facts
            facts={[
              [t("models.weights"), bytes(memory.weights_bytes)],
              [t("models.kv"), memory.kv_bytes_per_token && bytes(memory.kv_bytes_per_token)],
              [t("models.fullContext"), memory.full_context_bytes && bytes(memory.full_context_bytes)],
              [t("models.available"), memory.available_bytes && bytes(memory.available_bytes)],
            ]}
          />
        </>
      )}
    </>
  );
}

function Log({ model }: { model: ModelDetails }) {
  const { t } = useI18n();
  const live = model.state === "starting" || model.state === "ready";
  const { data, error, refetch } = useModelLog(model.name, live);
  if (error) return <ErrorPanel error={error} retry={() => void refetch()} />;
  return <LogView title={t("models.tab.log")} text={data?.text} empty={t("models.noLog")} follow={live} />;
}

function RemoveButton({ model, onGone }: { model: ModelDetails; onGone: () => void }) {
  const { t } = useI18n();
  const remove = useRemoveModel();
  const [asking, setAsking] = useState(false);
  return (
    <>
      <Button small icon={Trash2} onClick={() => setAsking(true)}>
        {t("models.remove")}
      </Button>
      <Confirm
        open={asking}
        onClose={() => setAsking(false)}
        title={t("models.removeTitle")}
        hint={t("models.removeHint", { size: bytes(model.size_bytes) })}
        verb={t("models.remove")}
        busy={remove.isPending}
        onConfirm={() => remove.mutate(model.name, { onSuccess: onGone })}
      />
    </>
  );
}
