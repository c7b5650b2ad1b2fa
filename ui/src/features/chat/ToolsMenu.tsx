import { Globe, Plus, Wrench, X } from "lucide-react";
import { Popover } from "radix-ui";
import { useState } from "react";
import { IconButton } from "@/components/Button";
import { Menu, MenuItem } from "@/components/Menu";
import { Pill } from "@/components/Pill";
import { Button } from "@/components/Button";
import { useI18n } from "@/lib/i18n";
import { useKbs } from "@/lib/queries";
import { toast } from "@/lib/toast";
import { useToolSources, useWebSearch, type ToolSource } from "./api";
import css from "./ToolsMenu.module.css";

const needs = (source: ToolSource) => source.usage.includes(":");

interface ToolsMenuProps {
  tools: string[];
  onTools: (tools: string[]) => void;
}

/** The tools of a conversation, as `kind:argument`; with any of them, answers are worked out step by step. */
export function ToolsMenu({ tools, onTools }: ToolsMenuProps) {
  const { t, say } = useI18n();
  const sources = useToolSources().data ?? [];
  const [draft, setDraft] = useState(tools);
  const put = (place: number, name: string) => setDraft(draft.map((one, index) => (index === place ? name : one)));
  const complete = draft.filter((name) => {
    const [kind = "", argument = ""] = split(name);
    const source = sources.find((one) => one.kind === kind);
    return source !== undefined && (!needs(source) || argument.trim() !== "");
  });
  return (
    <Popover.Root
      onOpenChange={(open) => {
        if (open) setDraft(tools);
        else if (complete.join("\n") !== tools.join("\n")) onTools(complete);
      }}
    >
      <Popover.Trigger asChild>
        <Pill label={t("chat.tools")} on={tools.length > 0} data-testid="chat-tools">
          <Wrench size={14} aria-hidden />
          {tools.length > 0 && <span>{tools.length}</span>}
        </Pill>
      </Popover.Trigger>
      <Popover.Portal>
        <Popover.Content className={css.panel} side="top" align="start" sideOffset={8} collisionPadding={12}>
          <strong>{t("chat.tools")}</strong>
          <p className={css.hint}>{t("chat.toolsHint")}</p>
          {draft.map((name, place) => {
            const [kind, argument] = split(name);
            const source = sources.find((one) => one.kind === kind);
            return (
              <div className={css.tool} key={place}>
                <span>{source ? say(source.title) : kind}</span>
                <IconButton
                  small
                  icon={X}
                  label={t("chat.toolRemove", { name: source ? say(source.title) : kind })}
                  onClick={() => setDraft(draft.filter((_, index) => index !== place))}
                />
                {source && needs(source) && (
                  <Argument source={source} value={argument} onChange={(value) => put(place, `${kind}:${value}`)} />
                )}
              </div>
            );
          })}
          <Menu
            align="start"
            trigger={
              <Button small icon={Plus}>
                {t("chat.toolAdd")}
              </Button>
            }
          >
            {sources
              .filter((source) => needs(source) || !draft.includes(source.kind))
              .map((source) => (
                <MenuItem
                  key={source.kind}
                  hint={source.usage}
                  onSelect={() => setDraft([...draft, needs(source) ? `${source.kind}:` : source.kind])}
                >
                  {say(source.title)}
                </MenuItem>
              ))}
          </Menu>
        </Popover.Content>
      </Popover.Portal>
    </Popover.Root>
  );
}

function split(name: string): [string, string] {
  const at = name.indexOf(":");
  return at < 0 ? [name, ""] : [name.slice(0, at), name.slice(at + 1)];
}

function Argument(props: { source: ToolSource; value: string; onChange: (value: string) => void }) {
  const { source, value, onChange } = props;
  const { t } = useI18n();
  const kbs = useKbs().data?.filter((one) => !one.error) ?? [];
  const label = t("chat.toolWhich", { usage: source.usage });
  if (source.kind === "kb") {
    return (
      <select aria-label={label} value={value} onChange={(event) => onChange(event.target.value)}>
        <option value="">—</option>
        {kbs.map(({ id, name }) => (
          <option key={id} value={id}>
            {name}
          </option>
        ))}
      </select>
    );
  }
  return (
    <input
      aria-label={label}
      placeholder={source.example.slice(source.kind.length + 1)}
      value={value}
      onChange={(event) => onChange(event.target.value)}
    />
  );
}

/** Answers from the web, with their pages; where no search is set up it says how. */
export function WebSwitch({ on, onChange }: { on: boolean; onChange: (on: boolean) => void }) {
  const { t } = useI18n();
  const search = useWebSearch();
  return (
    <Pill
      label={t("chat.web")}
      on={on}
      aria-pressed={on}
      onClick={() => {
        if (!on && search.data?.provider === null) toast(t("chat.webNone"), "bad");
        else onChange(!on);
      }}
    >
      <Globe size={14} aria-hidden />
    </Pill>
  );
}
