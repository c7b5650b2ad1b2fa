import { ChevronDown, LibraryBig, Plus } from "lucide-react";
import { useLocation } from "wouter";
import { Menu, MenuItem, MenuLabel, MenuLine } from "@/components/Menu";
import { Pill } from "@/components/Pill";
import { useI18n } from "@/lib/i18n";
import { useKbs } from "@/lib/queries";

export function KbMenu({ chosen, onChoose }: { chosen: string | null; onChoose: (id: string | null) => void }) {
  const { t } = useI18n();
  const [, go] = useLocation();
  const kbs = useKbs().data?.filter((one) => !one.error) ?? [];
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
