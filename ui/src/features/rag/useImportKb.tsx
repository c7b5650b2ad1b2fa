import { useState } from "react";
import { Confirm } from "@/components/Dialog";
import { useErrorText } from "@/components/states";
import { ApiError } from "@/lib/api";
import { useI18n } from "@/lib/i18n";
import { toast } from "@/lib/toast";
import { useTakeInKb } from "./api";

/** Takes in a knowledge base that somebody exported; where its embedder is not here, asks whether another will do. */
export function useImportKb() {
  const { t } = useI18n();
  const errorText = useErrorText();
  const take = useTakeInKb();
  const [asking, setAsking] = useState<File | null>(null);
  const start = (file: File, embedder?: string) =>
    take.mutate(
      { file, embedder },
      {
        onSuccess: ({ name, num_documents }) => toast(t("rag.importBegun", { name, n: num_documents })),
        onError: (error) => {
          const needs =
            error instanceof ApiError && ["embedder_missing", "embedder_differs"].includes(error.detail.code ?? "");
          if (needs && !embedder) setAsking(file);
          else toast(errorText(error).text, "bad");
        },
      },
    );
  const dialog = (
    <Confirm
      open={asking !== null}
      onClose={() => setAsking(null)}
      title={t("rag.importOther")}
      hint={t("rag.importOtherHint")}
      verb={t("rag.import")}
      busy={take.isPending}
      onConfirm={() => {
        if (asking) start(asking, "auto");
        setAsking(null);
      }}
    />
  );
  return { start: (file: File) => start(file), busy: take.isPending, dialog };
}
