import { Menu as MenuIcon } from "lucide-react";
import { useState, type ReactNode } from "react";
import { useLocation } from "wouter";
import { Nav } from "@/app/Nav";
import { Palette } from "@/app/Palette";
import { ShortcutHelp } from "@/app/ShortcutHelp";
import { useShortcuts } from "@/app/shortcuts";
import { IconButton } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Logo } from "@/components/Logo";
import { useI18n } from "@/lib/i18n";
import { useJobEvents } from "@/lib/jobs";
import css from "./Shell.module.css";

/** The frame around every page: menu at the left, or behind a button where the screen is narrow. */
export function Shell({ children }: { children: ReactNode }) {
  const { t } = useI18n();
  const [path] = useLocation();
  const [opened, setOpened] = useState<{ dialog: "menu" | "palette" | "help"; at: string } | null>(null);
  // A dialog belongs to the page it was opened on: going elsewhere closes it.
  const dialog = opened?.at === path ? opened.dialog : null;
  const close = () => setOpened(null);
  const open = (name: "menu" | "palette" | "help") => setOpened({ dialog: name, at: path });

  useJobEvents();
  useShortcuts({ palette: () => open("palette"), help: () => open("help") });

  return (
    <div className={css.shell}>
      <a className={css.skip} href="#main">
        {t("app.skip")}
      </a>
      <aside className={css.side}>
        <Nav onSearch={() => open("palette")} onHelp={() => open("help")} />
      </aside>
      <header className={css.bar}>
        <IconButton icon={MenuIcon} label={t("app.menu")} onClick={() => open("menu")} />
        <span className={css.brand}>
          <Logo size={22} /> {t("app.name")}
        </span>
        <span id="bar-actions" className={css.barActions} />
      </header>
      <main id="main" tabIndex={-1} className={css.main}>
        {children}
      </main>
      <Dialog open={dialog === "menu"} onClose={close} title={t("app.menu")} shape="menu">
        <Nav inDialog onGo={close} onSearch={() => open("palette")} onHelp={() => open("help")} />
      </Dialog>
      <Palette open={dialog === "palette"} onClose={close} />
      <ShortcutHelp open={dialog === "help"} onClose={close} />
    </div>
  );
}
