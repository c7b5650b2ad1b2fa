import { Headset, Plus, Users } from "lucide-react";
import { useState } from "react";
import { Link, useLocation } from "wouter";
import { Button } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Field } from "@/components/Field";
import { Page } from "@/components/Page";
import { Empty, ErrorPanel, Skeleton } from "@/components/states";
import { TabPanel, Tabs } from "@/components/Tabs";
import { useI18n } from "@/lib/i18n";
import { createDesk, useChange, useDesks, type Desk, type FaqWish } from "./api";
import { DeskFigures } from "./DeskFigures";
import { DeskOrders } from "./DeskOrders";
import { DeskSettingsForm } from "./DeskSettingsForm";
import { FaqList } from "./FaqList";
import { TalkToDesk } from "./TalkToDesk";
import css from "./Support.module.css";

const TABS = ["talk", "faqs", "orders", "figures", "settings"] as const;
type Tab = (typeof TABS)[number];

export default function SupportPage({ desk: wanted }: { desk?: string }) {
  const { t } = useI18n();
  const [, go] = useLocation();
  const desks = useDesks();
  const create = useChange(createDesk);
  const [naming, setNaming] = useState(false);
  const desk = desks.data?.find(({ id }) => id === wanted) ?? desks.data?.[0];
  const make = (name: string | null) =>
    create.mutate(name, {
      onSuccess: ({ id }) => {
        setNaming(false);
        go(`/support/${id}`);
      },
    });
  return (
    <Page
      title={t("support.title")}
      lead={t("support.lead")}
      actions={
        <>
          <Button icon={Users} onClick={() => go("/support/queue")}>
            {t("support.queue")}
          </Button>
          <Button tone="primary" icon={Plus} onClick={() => setNaming(true)}>
            {t("support.new")}
          </Button>
        </>
      }
    >
      {create.error && !naming && <ErrorPanel error={create.error} />}
      {desks.error && <ErrorPanel error={desks.error} retry={() => void desks.refetch()} />}
      {desks.isPending && <Skeleton lines={3} height={40} />}
      {desks.data?.length === 0 && (
        <Empty icon={Headset} title={t("support.none")} hint={t("support.noneHint")}>
          <Button tone="primary" busy={create.isPending} onClick={() => make(null)} data-testid="support-sample">
            {t("support.sample")}
          </Button>
        </Empty>
      )}
      {desks.data && desks.data.length > 1 && (
        <nav className={css.desks} aria-label={t("support.desks")}>
          {desks.data.map((one) => (
            <Link key={one.id} href={`/support/${one.id}`} data-active={one.id === desk?.id || undefined}>
              {one.name}
            </Link>
          ))}
        </nav>
      )}
      {desk && <DeskTabs key={desk.id} desk={desk} />}
      <NameDialog
        open={naming}
        onClose={() => setNaming(false)}
        busy={create.isPending}
        error={create.error}
        onName={make}
      />
    </Page>
  );
}

function DeskTabs({ desk }: { desk: Desk }) {
  const { t } = useI18n();
  const [tab, setTab] = useState<Tab>("talk");
  const [wish, setWish] = useState<FaqWish | null>(null);
  return (
    <Tabs
      value={tab}
      onChange={(next) => setTab(next as Tab)}
      label={desk.name}
      tabs={TABS.map((value) => ({ value, label: t(`support.tab.${value}`) }))}
    >
      <TabPanel value="talk" className={css.panel}>
        <TalkToDesk desk={desk.id} />
      </TabPanel>
      <TabPanel value="faqs" className={css.panel}>
        <FaqList desk={desk.id} wish={wish} onDone={() => setWish(null)} />
      </TabPanel>
      <TabPanel value="orders" className={css.panel}>
        <DeskOrders desk={desk.id} />
      </TabPanel>
      <TabPanel value="figures" className={css.panel}>
        <DeskFigures
          desk={desk.id}
          onAnswer={(question) => {
            setWish({ questions: [question], answers: {} });
            setTab("faqs");
          }}
        />
      </TabPanel>
      <TabPanel value="settings" className={css.panel}>
        <DeskSettingsForm desk={desk} />
      </TabPanel>
    </Tabs>
  );
}

interface NameDialogProps {
  open: boolean;
  onClose: () => void;
  busy: boolean;
  error: unknown;
  onName: (name: string | null) => void;
}

function NameDialog({ open, onClose, busy, error, onName }: NameDialogProps) {
  const { t } = useI18n();
  const [name, setName] = useState("");
  return (
    <Dialog
      open={open}
      onClose={onClose}
      title={t("support.new")}
      onSubmit={() => name.trim() && onName(name)}
      actions={
        <>
          <Button busy={busy} onClick={() => onName(null)}>
            {t("support.sample")}
          </Button>
          <Button tone="primary" type="submit" busy={busy} disabled={!name.trim()}>
            {t("do.create")}
          </Button>
        </>
      }
    >
      <Field label={t("support.name")}>
        {(props) => <input {...props} value={name} maxLength={100} onChange={(event) => setName(event.target.value)} />}
      </Field>
      {error != null && <ErrorPanel error={error} />}
    </Dialog>
  );
}
