import { Box, ChevronDown, Plug, Plus } from "lucide-react";
import { useLocation } from "wouter";
import { Menu, MenuItem, MenuLabel, MenuLine } from "@/components/Menu";
import { Pill } from "@/components/Pill";
import { useI18n, type Key } from "@/lib/i18n";
import { useApis, useModels } from "@/lib/queries";

/** The models that can answer: those of this machine, and below them those of the APIs that were added. */
export function ModelMenu({ chosen, onChoose }: { chosen: string | null; onChoose: (name: string) => void }) {
  const { t } = useI18n();
  const [, go] = useLocation();
  const models = (useModels().data ?? []).filter((model) => model.supported);
  const apis = (useApis().data ?? []).filter((api) => api.models.length > 0);
  return (
    <Menu
      align="start"
      side="top"
      trigger={
        <Pill label={`${t("model.choose")}: ${chosen ?? ""}`}>
          <Box size={14} aria-hidden />
          <span>{chosen ?? "…"}</span>
          <ChevronDown size={13} aria-hidden />
        </Pill>
      }
    >
      <MenuLabel>{t("model.choose")}</MenuLabel>
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
      {apis.map((api) => [
        <MenuLabel key={api.name}>{t("model.byApi", { name: api.name })}</MenuLabel>,
        ...api.models.map((name) => (
          <MenuItem key={name} checked={name === chosen} onSelect={() => onChoose(name)}>
            {name.slice(api.name.length + 1)}
          </MenuItem>
        )),
      ])}
      <MenuLine />
      <MenuItem icon={Plus} onSelect={() => go("/models?do=pull")}>
        {t("model.stronger")}
      </MenuItem>
      <MenuItem icon={Plug} onSelect={() => go("/models?do=api")}>
        {t("model.addApi")}
      </MenuItem>
    </Menu>
  );
}
