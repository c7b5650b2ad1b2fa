import { useErrorText } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { toast } from "@/lib/toast";
import type { UploadAnswer } from "@/lib/types";
import { useUpload } from "./api";

/** Sends files to a knowledge base and says how it went; what was rejected is told file by file. */
export function useAddFiles(): {
  add: (kb: string, files: readonly File[]) => Promise<UploadAnswer | null>;
  /** How many files are on their way. */
  sending: number;
} {
  const { t } = useI18n();
  const errorText = useErrorText();
  const upload = useUpload();
  const add = async (kb: string, files: readonly File[]) => {
    try {
      const answer = await upload.mutateAsync({ kb, files });
      if (answer.documents.length) toast(t("rag.added", { n: answer.documents.length }));
      for (const { name, error } of answer.rejected) {
        // The same content twice is no error: it is there, as was wished.
        if (error.code === "duplicate") toast(errorText(error).text, "note");
        else toast(`${t("rag.rejected", { name })} — ${errorText(error).text}`, "bad");
      }
      return answer;
    } catch (error) {
      toast(errorText(error).text, "bad");
      return null;
    }
  };
  return { add, sending: upload.isPending ? upload.variables.files.length : 0 };
}
