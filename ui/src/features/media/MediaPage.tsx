import { useLocation } from "wouter";
import { Page } from "@/components/Page";
import { ErrorPanel, Skeleton } from "@/components/states";
import { TabPanel, Tabs } from "@/components/Tabs";
import { useI18n } from "@/lib/i18n";
import { useMedia } from "@/lib/voice";
import { ListenTab } from "./ListenTab";
import { LookTab } from "./LookTab";
import { SpeakTab } from "./SpeakTab";
import css from "./Media.module.css";

const NAMES = ["listen", "speak", "look"] as const;

export default function MediaPage({ tab }: { tab?: string }) {
  const { t } = useI18n();
  const [, go] = useLocation();
  const media = useMedia();
  const shown = NAMES.find((name) => name === tab) ?? "listen";
  return (
    <Page title={t("media.title")} lead={t("media.lead")}>
      <Tabs
        label={t("media.title")}
        value={shown}
        onChange={(name) => go(`/media/${name}`)}
        tabs={NAMES.map((value) => ({ value, label: t(`media.tab.${value}`) }))}
      >
        {media.error && <ErrorPanel error={media.error} retry={() => void media.refetch()} />}
        {media.isPending && <Skeleton lines={3} height={28} />}
        {media.data && (
          <>
            <TabPanel value="listen" className={css.panel}>
              <ListenTab hear={media.data.hear} />
            </TabPanel>
            <TabPanel value="speak" className={css.panel}>
              <SpeakTab ability={media.data.speak} />
            </TabPanel>
            <TabPanel value="look" className={css.panel}>
              <LookTab ability={media.data.look} />
            </TabPanel>
          </>
        )}
      </Tabs>
    </Page>
  );
}
