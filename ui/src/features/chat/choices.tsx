import { Box, ChevronDown, LibraryBig, Plus } from "lucide-react";
import type { ComponentProps } from "react";
import { useLocation } from "wouter";
import { Menu, MenuItem, MenuLabel, MenuLine } from "@/components/Menu";
import { useI18n, type Key } from "@/lib/i18n";
import { useKbs, useModels } from "@/lib/queries";
import css from "./choices.module.css";

/** A small pill that opens something; used for model, knowledge base and sampling. */
export function Pill({ on, label, children, ...rest }: ComponentProps<"button"> & { on?: boolean; label: string }) {
  return (
    <button type="button" className={css.pill} data-on={on || undefined} aria-label={label} title={label} {...rest}>
      {children}
    </button>
  );
}

export function ModelMenu({ chosen, onChoose }: { chosen: string | null; onChoose: (name: string) => void }) {
  const { t } = useI18n();
  const [, go] = useLocation();
  const models = (useModels().data ?? []).filter((model) => model.supported);
  return (
    <Menu
      align="start"
      side="top"
      trigger={
        <Pill label={`${t("chat.model")}: ${chosen ?? ""}`}>
          <Box size={14} aria-hidden />
          <span>{chosen ?? "…"}</span>
          <ChevronDown size={13} aria-hidden />
        </Pill>
      }
    >
      <MenuLabel>{t("chat.model")}</MenuLabel>
      {models.map(({ name, state }) => (
        <MenuItem
          key={name}
          checked={name === chosen}
          hint={t(`model.state.${state}` as Key)}
          onSelect={() => onChoose(name)}
        >
          {name}
        </MenuItem>
      ))}
      <MenuLine />
      <MenuItem icon={Plus} onSelect={() => go("/models?do=pull")}>
        {t("chat.stronger")}
      </MenuItem>
    </Menu>
  );
}

export function KbMenu({ chosen, onChoose }: { chosen: string | null; onChoose: (id: string | null) => void }) {
  const { t } = useI18n();
  const [, go] = useLocation();
  const kbs = useKbs().data ?? [];
  const kb = kbs.find(({ id }) => id === chosen);
  return (
    <Menu
      align="start"
      side="top"
      trigger={
        <Pill label={`${t("chat.kb")}: ${kb?.name ?? t("chat.kbNone")}`} on={chosen !== null}>
          <LibraryBig size={14} aria-hidden />
          <span>{kb?.name ?? t("chat.kbNone")}</span>
          <ChevronDown size={13} aria-hidden />
        </Pill>
      }
    >
      <MenuLabel>{t("chat.kb")}</MenuLabel>
      <MenuItem checked={chosen === null} onSelect={() => onChoose(null)}>
        {t("chat.kbNone")}
      </MenuItem>
      {kbs.map(({ id, name }) => (
        <MenuItem key={id} checked={id === chosen} onSelect={() => onChoose(id)}>
          {name}
        </MenuItem>
      ))}
      <MenuLine />
      <MenuItem icon={Plus} onSelect={() => go("/knowledge")}>
        {t("chat.kbCreate")}
      </MenuItem>
    </Menu>
  );
}
