import { MENU } from "@/app/pages";
import { COMMANDS } from "@/app/shortcuts";
import { Dialog } from "@/components/Dialog";
import { useI18n, type Key } from "@/lib/i18n";
import css from "./ShortcutHelp.module.css";

const KEYS: readonly [string, Key][] = [
  ["Ctrl K", "keys.palette"],
  ["/", "keys.focus"],
  ...COMMANDS.flatMap(({ key, label }): [string, Key][] => (key ? [[key, label]] : [])),
  ["/name", "keys.prompt"],
  ["Enter", "keys.send"],
  ["Shift Enter", "keys.newline"],
  ["Esc", "keys.stop"],
  [`Alt 1…${Math.min(9, MENU.length)}`, "keys.go"],
  ["?", "keys.help"],
];

export function ShortcutHelp({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { t } = useI18n();
  return (
    <Dialog open={open} onClose={onClose} title={t("keys.title")}>
      <dl className={css.keys}>
        {KEYS.map(([keys, what]) => (
          <div key={what}>
            <dt>
              {keys.split(" ").map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{t(what)}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
