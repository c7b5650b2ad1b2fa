import type { LucideIcon } from "lucide-react";
import { useRef, useState, type ReactNode } from "react";
import { Button } from "@/components/Button";
import css from "./Media.module.css";

interface DropBoxProps {
  accept: string;
  icon: LucideIcon;
  label: string;
  hint: string;
  busy?: boolean;
  onFile: (file: File) => void;
  /** What stands before the button, such as another way to bring a file. */
  children?: ReactNode;
  testid: string;
}

/** A field that takes one file: chosen by the button, or dropped. */
export function DropBox({ accept, icon, label, hint, busy, onFile, children, testid }: DropBoxProps) {
  const input = useRef<HTMLInputElement>(null);
  const [over, setOver] = useState(false);
  return (
    <div
      className={css.drop}
      data-over={over || undefined}
      data-testid={`${testid}-drop`}
      onDragOver={(event) => {
        if (!event.dataTransfer.types.includes("Files")) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        const file = event.dataTransfer.files[0];
        if (file && !busy) onFile(file);
      }}
    >
      <div className={css.row}>
        {children}
        <Button icon={icon} busy={busy} onClick={() => input.current?.click()}>
          {label}
        </Button>
      </div>
      <span className={css.hint}>{hint}</span>
      <input
        ref={input}
        type="file"
        hidden
        accept={accept}
        data-testid={testid}
        onChange={(event) => {
          const file = event.target.files?.[0];
          event.target.value = "";
          if (file) onFile(file);
        }}
      />
    </div>
  );
}
