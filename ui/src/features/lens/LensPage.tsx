import { ArrowRight, Check, Link2 } from "lucide-react";
import { useState } from "react";
import { Link, useLocation, useSearchParams } from "wouter";
import { Button } from "@/components/Button";
import { Page } from "@/components/Page";
import { TabPanel, Tabs } from "@/components/Tabs";
import { useI18n } from "@/lib/i18n";
import { useModels, useStatus } from "@/lib/queries";
import { ArchitectureTab } from "./ArchitectureTab";
import { AttentionTab } from "./AttentionTab";
import { NextTab } from "./NextTab";
import { PositionsTab } from "./PositionsTab";
import { PromptsTab } from "./PromptsTab";
import { TokensTab } from "./TokensTab";
import css from "./Lens.module.css";

/** One tab a task of the roadmap's stage 1, in its order. */
const TABS = {
  tokens: TokensTab,
  attention: AttentionTab,
  positions: PositionsTab,
  architecture: ArchitectureTab,
  next: NextTab,
  prompts: PromptsTab,
} as const;
type Tab = keyof typeof TABS;
const NAMES = Object.keys(TABS) as Tab[];

export default function LensPage({ tab }: { tab?: string }) {
  const { t } = useI18n();
  const [, go] = useLocation();
  const [params, setParams] = useSearchParams();
  const models = (useModels().data ?? []).filter(({ supported }) => supported);
  const running = useStatus().data?.model.name;
  const wanted = params.get("model") ?? running;
  const model = models.find(({ name }) => name === wanted)?.name ?? models[0]?.name ?? "";
  const shown = NAMES.find((name) => name === tab) ?? "tokens";
  const choose = (name: string) =>
    setParams(() => {
      const now = new URLSearchParams(location.search); // with what the tab has put there by itself
      now.set("model", name);
      return now;
    });
  return (
    <Page
      title={t("lens.title")}
      lead={t("lens.lead")}
      actions={
        <>
          <label className={css.model}>
            <span>{t("lens.model")}</span>
            <select value={model} onChange={(event) => choose(event.target.value)} data-testid="lens-model">
              {models.map(({ name }) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </label>
          <LinkButton />
        </>
      }
    >
      <Tabs
        label={t("lens.title")}
        value={shown}
        onChange={(name) => go(`/lens/${name}${params.get("model") ? `?${new URLSearchParams({ model })}` : ""}`)}
        tabs={NAMES.map((value, place) => ({ value, label: `1.${place + 1} ${t(`lens.tab.${value}`)}` }))}
      >
        {NAMES.map((name) => {
          const View = TABS[name];
          return (
            <TabPanel key={name} value={name} className={css.panel}>
              {model && <View model={model} models={models.map((one) => one.name)} />}
              {model && <Onward from={name} query={params.get("model") ? `?${new URLSearchParams({ model })}` : ""} />}
            </TabPanel>
          );
        })}
      </Tabs>
    </Page>
  );
}

/** From each tab to the one that builds on it, and from the last to the gates of the stage. */
function Onward({ from, query }: { from: Tab; query: string }) {
  const { t } = useI18n();
  const place = NAMES.indexOf(from) + 1;
  const next = NAMES[place];
  return (
    <nav className={css.onward} aria-label={t("lens.onward")}>
      {next ? (
        <Link href={`/lens/${next}${query}`} onClick={() => scrollTo({ top: 0 })}>
          {t("lens.next")} 1.{place + 1} {t(`lens.tab.${next}`)} <ArrowRight size={15} aria-hidden />
        </Link>
      ) : (
        <Link href="/roadmap/1.1">
          {t("lens.toGates")} <ArrowRight size={15} aria-hidden />
        </Link>
      )}
    </nav>
  );
}

/** The address holds what one sees: text, model, head, settings. */
function LinkButton() {
  const { t } = useI18n();
  const [done, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(location.href);
    setDone(true);
    setTimeout(() => setDone(false), 1600);
  };
  return (
    <Button small icon={done ? Check : Link2} onClick={() => void copy()} aria-live="polite">
      {t(done ? "do.copied" : "lens.link")}
    </Button>
  );
}
