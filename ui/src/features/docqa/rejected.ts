import { useErrorText } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { toast } from "@/lib/toast";
import type { UploadAnswer } from "@/lib/types";

/** Says file by file what was not taken, and why. */
export function useSayRejected() {
  const { t } = useI18n();
  const errorText = useErrorText();
  return (rejected: UploadAnswer["rejected"]) =>
    rejected.forEach(({ name, error }) =>
      toast(`${t("docqa.rejected", { name })} — ${errorText(error).text}`, error.code === "duplicate" ? "note" : "bad"),
    );
}
