import { LogOut } from "lucide-react";
import { useLocation } from "wouter";
import { Badge } from "@/components/Badge";
import { Button } from "@/components/Button";
import { Page } from "@/components/Page";
import { ErrorPanel, Skeleton } from "@/components/states";
import { TabPanel, Tabs } from "@/components/Tabs";
import { useI18n } from "@/lib/i18n";
import { useChange, useMe, type Role } from "./api";
import { AskTab } from "./AskTab";
import { AuditTab } from "./AuditTab";
import { DocumentsTab } from "./DocumentsTab";
import { PeopleTab } from "./PeopleTab";
import { ReportsTab } from "./ReportsTab";
import { SignIn } from "./SignIn";
import css from "./Enterprise.module.css";

const TABS = ["ask", "documents", "reports", "people", "audit"] as const;
/** What each role sees; the server holds to it, whatever is shown. */
const SEES: Record<Role, readonly (typeof TABS)[number][]> = {
  reader: ["ask", "documents"],
  editor: ["ask", "documents", "reports"],
  admin: TABS,
};

export default function EnterprisePage({ tab }: { tab?: string }) {
  const { t } = useI18n();
  const [, go] = useLocation();
  const me = useMe();
  const change = useChange();
  const person = me.data?.person;
  const sees = person ? SEES[person.role] : [];
  const shown = sees.find((one) => one === tab) ?? "ask";
  return (
    <Page
      title={t("know.title")}
      lead={t("know.lead")}
      actions={
        person && (
          <span className={css.line}>
            <span>{person.shown}</span>
            <Badge>{t(`know.role.${person.role}`)}</Badge>
            <Button icon={LogOut} onClick={() => change.mutate({ method: "post", path: "/sign-out" })}>
              {t("know.signOut")}
            </Button>
          </span>
        )
      }
    >
      {me.error && <ErrorPanel error={me.error} retry={() => void me.refetch()} />}
      {me.isPending && <Skeleton lines={3} height={40} />}
      {me.data && !person && <SignIn me={me.data} />}
      {me.data && person && (
        <Tabs
          key={person.id}
          value={shown}
          onChange={(value) => go(`/enterprise/${value}`)}
          label={t("know.tab")}
          tabs={sees.map((value) => ({ value, label: t(`know.tab.${value}`) }))}
        >
          <TabPanel value="ask">
            <AskTab me={me.data} />
          </TabPanel>
          <TabPanel value="documents">
            <DocumentsTab me={me.data} />
          </TabPanel>
          <TabPanel value="reports">{sees.includes("reports") && <ReportsTab />}</TabPanel>
          <TabPanel value="people">{sees.includes("people") && <PeopleTab />}</TabPanel>
          <TabPanel value="audit">{sees.includes("audit") && <AuditTab />}</TabPanel>
        </Tabs>
      )}
    </Page>
  );
}
