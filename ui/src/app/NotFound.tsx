import { Signpost } from "lucide-react";
import { Link } from "wouter";
import { HOME } from "@/app/pages";
import { Page } from "@/components/Page";
import { Empty } from "@/components/states";
import { useI18n } from "@/lib/i18n";

export function NotFound() {
  const { t } = useI18n();
  return (
    <Page title={t("app.name")}>
      <Empty icon={Signpost} title={t("app.notFound")} hint={t("app.notFoundHint")}>
        <Link href={HOME}>{t("app.home")}</Link>
      </Empty>
    </Page>
  );
}
