import { FileDown } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { useI18n } from "@/lib/i18n";
import css from "./FileDrop.module.css";
import { dropped } from "./files";

const holdsFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;

/** Takes files and whole folders dropped anywhere on the page; true while some hover over it. */
export function useFileDrop(onFiles: (files: readonly File[]) => void): boolean {
  const [over, setOver] = useState(false);
  const latest = useRef(onFiles);
  useEffect(() => {
    latest.current = onFiles;
  });
  useEffect(() => {
    let depth = 0; // dragenter and dragleave come for every element on the way
    const on = {
      dragenter: (event: DragEvent) => {
        if (!holdsFiles(event)) return;
        depth++;
        setOver(true);
      },
      dragleave: () => {
        depth = Math.max(0, depth - 1);
        if (!depth) setOver(false);
      },
      dragover: (event: DragEvent) => holdsFiles(event) && event.preventDefault(),
      drop: (event: DragEvent) => {
        if (!holdsFiles(event)) return;
        event.preventDefault();
        depth = 0;
        setOver(false);
        if (event.dataTransfer) void dropped(event.dataTransfer).then((files) => files.length && latest.current(files));
      },
    };
    const names = Object.keys(on) as (keyof typeof on)[];
    names.forEach((name) => window.addEventListener(name, on[name]));
    return () => names.forEach((name) => window.removeEventListener(name, on[name]));
  }, []);
  return over;
}

export function DropVeil({ text }: { text: string }) {
  const { t } = useI18n();
  return (
    <div className={css.veil}>
      <div>
        <FileDown size={40} aria-hidden />
        <strong>{text}</strong>
        <small>{t("rag.dropHint")}</small>
      </div>
    </div>
  );
}
