import { CircleHelp, Languages, Monitor, Moon, Search, Sun } from "lucide-react";
import { Link, useLocation } from "wouter";
import { HOME, MENU, PAGES } from "@/app/pages";
import { Contours, Logo } from "@/components/Logo";
import { Menu, MenuItem } from "@/components/Menu";
import { Tip } from "@/components/Tip";
import { useI18n } from "@/lib/i18n";
import { GROUPS, type WorkbenchPage } from "@/lib/page";
import { useStatus } from "@/lib/queries";
import { useTheme, type Theme } from "@/lib/theme";
import css from "./Nav.module.css";

interface NavProps {
  inDialog?: boolean;
  onSearch: () => void;
  onHelp: () => void;
  /** Called when a page is chosen, the one that is shown included. */
  onGo?: () => void;
}

export function Nav({ inDialog, onSearch, onHelp, onGo }: NavProps) {
  const { t } = useI18n();
  const [path] = useLocation();
  return (
    <div className={css.nav} data-dialog={inDialog || undefined}>
      {!inDialog && (
        <>
          <span className={css.backdrop} aria-hidden>
            <Contours className={css.contours} />
          </span>
          <Link href={HOME} className={css.brand}>
            <Logo size={30} />
            <span>
              指路 <small>Zhilu</small>
            </span>
          </Link>
        </>
      )}
      <button type="button" className={css.search} onClick={onSearch}>
        <Search size={15} aria-hidden />
        <span>{t("nav.search")}</span>
        <kbd>Ctrl K</kbd>
      </button>
      <nav aria-label={t("nav.label")}>
        {GROUPS.map((group) => (
          <div key={group} className={css.group}>
            {MENU.filter(({ nav }) => nav.group === group).map((page) => (
              <Entry key={page.nav.href} page={page} path={path} onGo={onGo} />
            ))}
          </div>
        ))}
      </nav>
      <div className={css.foot}>
        <ModelLine />
        <div className={css.tools}>
          <LanguageButton />
          <ThemeMenu />
          <Tip text={t("keys.title")}>
            <button type="button" className={css.tool} aria-label={t("keys.title")} onClick={onHelp}>
              <CircleHelp size={17} aria-hidden />
            </button>
          </Tip>
        </div>
      </div>
    </div>
  );
}

const isAt = (path: string, href: string) => path === href || path.startsWith(`${href}/`);

/** An entry, and below it those that stand under it while one is at any of them; else their marks are its own. */
function Entry({ page: { nav }, path, onGo }: { page: WorkbenchPage; path: string; onGo: (() => void) | undefined }) {
  const { t } = useI18n();
  const below = PAGES.filter(({ nav: { under } }) => under === nav.href);
  const isOpen = [nav, ...below.map((page) => page.nav)].some(({ href }) => isAt(path, href));
  const { href, label, icon: Icon, Mark } = nav;
  return (
    <>
      <Link
        href={href}
        onClick={onGo}
        className={css.link}
        aria-current={isAt(path, href) ? "page" : undefined}
        data-under={nav.under ? true : undefined}
      >
        <Icon size={nav.under ? 16 : 18} aria-hidden />
        {t(label)}
        {Mark && <Mark />}
        {!isOpen && below.map(({ nav: { href, Mark } }) => Mark && <Mark key={href} />)}
      </Link>
      {isOpen && below.map((page) => <Entry key={page.nav.href} page={page} path={path} onGo={onGo} />)}
    </>
  );
}

function ModelLine() {
  const { t, say } = useI18n();
  const { data, isError } = useStatus();
  if (isError) {
    return (
      <p className={css.model} data-state="failed" role="status">
        <i aria-hidden />
        <span>{t("server.down")}</span>
      </p>
    );
  }
  if (!data) return null;
  const { name, state, detail } = data.model;
  return (
    <Link
      href={`/models/${encodeURIComponent(name)}`}
      className={css.model}
      data-state={state}
      title={say(detail) || undefined}
    >
      <i aria-hidden />
      <span>
        {name}
        <small>{t(`model.state.${state}`)}</small>
      </span>
    </Link>
  );
}

function LanguageButton() {
  const { lang, setLang, t } = useI18n();
  return (
    <Tip text={t("lang.switch")}>
      <button
        type="button"
        className={css.tool}
        onClick={() => setLang(lang === "zh" ? "en" : "zh")}
        aria-label={t("lang.switch")}
      >
        <Languages size={17} aria-hidden />
        <span>{lang === "zh" ? "EN" : "中"}</span>
      </button>
    </Tip>
  );
}

const THEMES: readonly { value: Theme; icon: typeof Sun }[] = [
  { value: "system", icon: Monitor },
  { value: "light", icon: Sun },
  { value: "dark", icon: Moon },
];

function ThemeMenu() {
  const { t } = useI18n();
  const { theme, setTheme } = useTheme();
  const Icon = THEMES.find(({ value }) => value === theme)?.icon ?? Monitor;
  const trigger = (
    <button type="button" className={css.tool} aria-label={t("theme.label")} title={t("theme.label")}>
      <Icon size={17} aria-hidden />
    </button>
  );
  return (
    <Menu trigger={trigger} align="start" side="top">
      {THEMES.map(({ value, icon }) => (
        <MenuItem key={value} icon={icon} checked={theme === value} onSelect={() => setTheme(value)}>
          {t(`theme.${value}`)}
        </MenuItem>
      ))}
    </Menu>
  );
}
