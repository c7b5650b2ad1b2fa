import { Dialog } from "@/components/Dialog";
import { useI18n } from "@/lib/i18n";

export function TraceDrawer({ onClose }: { kb: string; id: string; onClose: () => void }) {
  const { t } = useI18n();
  return <Dialog open shape="panel" onClose={onClose} title={t("rag.trace.title")} />;
}
