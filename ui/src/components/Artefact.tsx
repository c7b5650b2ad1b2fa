import { useQuery } from "@tanstack/react-query";
import { useRef } from "react";
import { Skeleton } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import css from "./Artefact.module.css";

const LOADERS = {
  mermaid: () => import("@/lib/draw/mermaid"),
  vega: () => import("@/lib/draw/vega"),
};

/** A drawing of a text. It is shown as a picture: whatever stands in it, nothing of it runs and nothing is loaded. */
export function Drawing({ kind, code }: { kind: keyof typeof LOADERS; code: string }) {
  const { t } = useI18n();
  const { data, error } = useQuery({
    queryKey: ["drawn", kind, code],
    queryFn: async () => (await LOADERS[kind]()).draw(code),
    staleTime: Infinity,
    retry: false,
  });
  if (error) return <p className={css.bad}>{t("artefact.bad", { why: String(error.message).slice(0, 300) })}</p>;
  if (data === undefined) return <Skeleton lines={3} />;
  const source = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(data)}`;
  return (
    <div className={css.drawing}>
      <img src={source} alt={t(`artefact.${kind}`)} />
    </div>
  );
}

/** A page of HTML in a frame of another origin: it may run, and reaches neither this page nor the network. */
export function PagePreview({ code }: { code: string }) {
  const { t } = useI18n();
  const frame = useRef<HTMLIFrameElement>(null);
  return (
    <iframe
      ref={frame}
      className={css.page}
      title={t("artefact.page")}
      src="/sandbox.html"
      sandbox="allow-scripts"
      referrerPolicy="no-referrer"
      onLoad={() => frame.current?.contentWindow?.postMessage(code, "*")}
    />
  );
}
