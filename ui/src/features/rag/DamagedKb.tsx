import { Trash2, Wrench } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/Button";
import { Confirm } from "@/components/Dialog";
import { ErrorPanel } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { toast } from "@/lib/toast";
import type { ErrorDetail } from "@/lib/types";
import { useDeleteKb, useRepairKb } from "./api";
import css from "./DamagedKb.module.css";

interface DamagedKbProps {
  kb: { id: string; name: string };
  error: ErrorDetail;
  onDeleted?: () => void;
}

/** A knowledge base that cannot be opened: why, and what can be done. Only damage can be repaired; all can be deleted. */
export function DamagedKb({ kb, error, onDeleted }: DamagedKbProps) {
  const { t } = useI18n();
  const repair = useRepairKb();
  const remove = useDeleteKb();
  const [asking, setAsking] = useState(false);
  const isDamaged = error.type === "damaged";
  const mend = () =>
    repair.mutate(kb.id, {
      onSuccess: ({ how, num_documents, lost }) => {
        toast(t(`rag.repaired.${how}`, { name: kb.name, n: num_documents }));
        if (lost.length) toast(t("rag.repaired.lost", { n: lost.length, names: lost.join(", ") }), "bad");
      },
    });
  return (
    <div className={css.damaged}>
      <ErrorPanel
        title={t(isDamaged ? "rag.damaged" : "rag.cannotOpen")}
        error={isDamaged ? { ...error, fix: null } : error}
      />
      {repair.error && <ErrorPanel title={t("rag.repairFailed")} error={repair.error} />}
      {remove.error && <ErrorPanel error={remove.error} />}
      <div className={css.actions}>
        {isDamaged && (
          <Button tone="primary" icon={Wrench} busy={repair.isPending} onClick={mend}>
            {t("rag.repair")}
          </Button>
        )}
        <Button tone="danger" icon={Trash2} disabled={repair.isPending} onClick={() => setAsking(true)}>
          {t("do.delete")}
        </Button>
      </div>
      {isDamaged && <small>{t("rag.repairHint")}</small>}
      <Confirm
        open={asking}
        onClose={() => setAsking(false)}
        title={t("rag.deleteTitle")}
        hint={t("rag.deleteDamagedHint", { name: kb.name })}
        verb={t("do.delete")}
        busy={remove.isPending}
        onConfirm={() =>
          remove.mutate(kb.id, {
            onSuccess: () => {
              setAsking(false);
              onDeleted?.();
            },
          })
        }
      />
    </div>
  );
}
