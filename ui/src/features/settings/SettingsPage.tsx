import { useQuery } from "@tanstack/react-query";
import { Facts } from "@/components/Facts";
import { Page } from "@/components/Page";
import { Segments } from "@/components/Segments";
import { ErrorPanel, Skeleton } from "@/components/states";
import { api } from "@/lib/api";
import { seconds } from "@/lib/format";
import { useI18n } from "@/lib/i18n";
import { useStatus } from "@/lib/queries";
import { useTheme } from "@/lib/theme";
import type { Setting } from "@/lib/types";
import { SettingRow } from "./SettingRow";
import css from "./SettingsPage.module.css";

export default function SettingsPage() {
  const { t, lang, setLang } = useI18n();
  const { theme, setTheme } = useTheme();
  const { data, error, refetch, isPending } = useQuery({
    queryKey: ["settings"],
    queryFn: ({ signal }) => api.get<Setting[]>("/settings", signal),
  });
  return (
    <Page narrow title={t("settings.title")} lead={t("settings.lead")}>
      <section className={css.section}>
        <h2>{t("settings.look")}</h2>
        <div className={css.choice}>
          <span>{t("settings.language")}</span>
          <Segments
            label={t("settings.language")}
            value={lang}
            onChange={setLang}
            options={[
              { value: "zh", label: "中文" },
              { value: "en", label: "English" },
            ]}
          />
        </div>
        <div className={css.choice}>
          <span>{t("theme.label")}</span>
          <Segments
            label={t("theme.label")}
            value={theme}
            onChange={setTheme}
            options={(["system", "light", "dark"] as const).map((value) => ({ value, label: t(`theme.${value}`) }))}
          />
        </div>
      </section>
      <section className={css.section}>
        <h2>{t("settings.server")}</h2>
        {error && <ErrorPanel error={error} retry={() => void refetch()} />}
        {isPending && <Skeleton lines={8} height={28} />}
        <ul>
          {data?.map((setting) => (
            <SettingRow key={setting.key} setting={setting} />
          ))}
        </ul>
      </section>
      <About />
    </Page>
  );
}

function About() {
  const { t } = useI18n();
  const { data } = useStatus();
  if (!data) return null;
  return (
    <section className={css.section}>
      <h2>{t("settings.about")}</h2>
      <Facts
        facts={[
          [t("settings.version"), data.version],
          [t("settings.home"), <code key="home">{data.home}</code>],
          [t("settings.address"), `http://${data.host}:${data.port}`],
          [t("settings.uptime"), seconds(data.uptime_s)],
        ]}
      />
    </section>
  );
}
