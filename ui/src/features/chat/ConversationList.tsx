import {
  BookText,
  Code2,
  Download,
  FileText,
  FileUp,
  Folder,
  FolderPlus,
  MoreHorizontal,
  Pencil,
  SquarePen,
  Trash2,
} from "lucide-react";
import { useRef, useState } from "react";
import { Link, useLocation } from "wouter";
import { Button, IconButton } from "@/components/Button";
import { Confirm, Dialog } from "@/components/Dialog";
import { Field } from "@/components/Field";
import { Menu, MenuItem, MenuLabel, MenuLine } from "@/components/Menu";
import { SearchField } from "@/components/SearchField";
import { ErrorPanel, Skeleton, useErrorText } from "@/components/states";
import { download } from "@/lib/api";
import { useI18n, type Key } from "@/lib/i18n";
import { useConversations } from "@/lib/queries";
import { toast } from "@/lib/toast";
import type { ConversationSummary } from "@/lib/types";
import { useDeleteConversation, useFound, useImport, usePatchConversation } from "./api";
import css from "./ConversationList.module.css";
import { DRAGGED, FolderName, FolderSection, isChat } from "./Folders";
import { PromptsDialog } from "./Prompts";
import { useFolders } from "./shelf";

const DAY = 86_400_000;

/** Today, yesterday, last seven days, older: in the order of the list, empty ones left out. */
function byAge(list: ConversationSummary[], now: number): [Key, ConversationSummary[]][] {
  const midnight = new Date(now).setHours(0, 0, 0, 0);
  const groups: [Key, ConversationSummary[]][] = [
    ["chat.today", []],
    ["chat.yesterday", []],
    ["chat.week", []],
    ["chat.older", []],
  ];
  for (const one of list) {
    const at = Date.parse(one.updated_at);
    const group = at >= midnight ? 0 : at >= midnight - DAY ? 1 : at >= midnight - 7 * DAY ? 2 : 3;
    groups[group]?.[1].push(one);
  }
  return groups.filter(([, members]) => members.length);
}

export function ConversationList({ current, onChosen }: { current: string | undefined; onChosen?: () => void }) {
  const { t } = useI18n();
  const [, go] = useLocation();
  const { data, error, refetch, isPending, dataUpdatedAt } = useConversations();
  const [query, setQuery] = useState("");
  const [doing, setDoing] = useState<{ what: "rename" | "delete"; to: ConversationSummary } | null>(null);

  const errorText = useErrorText();
  const wanted = query.trim();
  const searched = useFound(wanted);
  const found = (wanted ? searched.data : data) ?? [];
  const save = (what: string, name: string) =>
    void download(`/conversations/export?${what}`, name).catch((refusal: unknown) =>
      toast(errorText(refusal).text, "bad"),
    );
  const close = () => setDoing(null);
  const folders = useFolders().data ?? [];
  const patch = usePatchConversation();
  const [prompts, setPrompts] = useState(false);
  const [naming, setNaming] = useState<{ move?: string } | null>(null);
  const move = (id: string, folder_id: string | null) => {
    if (id) patch.mutate({ id, change: { folder_id } });
  };
  const rows = (members: ConversationSummary[]) => (
    <ul>
      {members.map((one) => (
        <li
          key={one.id}
          className={css.item}
          data-current={one.id === current || undefined}
          draggable
          onDragStart={(event) => event.dataTransfer.setData(DRAGGED, one.id)}
        >
          <Link href={`/chat/${one.id}`} onClick={onChosen} aria-current={one.id === current ? "page" : undefined}>
            {one.title || t("chat.untitled")}
            {wanted && one.place && <small>{one.place}</small>}
          </Link>
          <Menu trigger={<IconButton small icon={MoreHorizontal} label={t("do.more")} className={css.more} />}>
            <MenuItem icon={Pencil} onSelect={() => setDoing({ what: "rename", to: one })}>
              {t("do.rename")}
            </MenuItem>
            <MenuItem icon={Code2} onSelect={() => save(`format=html&id=${one.id}`, `${nameOf(one)}.html`)}>
              {t("chat.saveHtml")}
            </MenuItem>
            <MenuItem icon={FileText} onSelect={() => save(`format=md&id=${one.id}`, `${nameOf(one)}.md`)}>
              {t("chat.saveMd")}
            </MenuItem>
            <MenuItem icon={Download} onSelect={() => save(`format=json&id=${one.id}`, `${nameOf(one)}.json`)}>
              {t("chat.saveJson")}
            </MenuItem>
            <MenuLine />
            <MenuLabel>{t("chat.moveTo")}</MenuLabel>
            {folders.map((folder) => (
              <MenuItem
                key={folder.id}
                icon={Folder}
                checked={folder.id === one.folder_id}
                onSelect={() => move(one.id, folder.id)}
              >
                {folder.name}
              </MenuItem>
            ))}
            {one.folder_id && <MenuItem onSelect={() => move(one.id, null)}>{t("chat.noFolder")}</MenuItem>}
            <MenuItem icon={FolderPlus} onSelect={() => setNaming({ move: one.id })}>
              {t("chat.folderNew")}
            </MenuItem>
            <MenuLine />
            <MenuItem icon={Trash2} danger onSelect={() => setDoing({ what: "delete", to: one })}>
              {t("do.delete")}
            </MenuItem>
          </Menu>
        </li>
      ))}
    </ul>
  );
  return (
    <div className={css.list}>
      <div className={css.head}>
        <Button
          icon={SquarePen}
          className={css.new}
          onClick={() => {
            go("/chat");
            onChosen?.();
          }}
        >
          {t("chat.new")}
        </Button>
        <AllMenu
          onExport={() => save("format=json", "zhilu-chat.json")}
          onFolder={() => setNaming({})}
          onPrompts={() => setPrompts(true)}
        />
      </div>
      <div className={css.search}>
        {(data?.length ?? 0) > 1 && <SearchField label={t("chat.search")} value={query} onChange={setQuery} />}
      </div>
      <div className={css.scroll}>
        {error && <ErrorPanel error={error} retry={() => void refetch()} />}
        {isPending && <Skeleton lines={6} height={20} />}
        {data && !found.length && !searched.isFetching && (
          <p className={css.none}>{t(wanted ? "chat.noneFound" : "chat.noneYet")}</p>
        )}
        {!wanted &&
          folders.map((folder) => (
            <FolderSection
              key={folder.id}
              folder={folder}
              count={found.filter(({ folder_id }) => folder_id === folder.id).length}
              onDrop={(id) => move(id, folder.id)}
            >
              {rows(found.filter(({ folder_id }) => folder_id === folder.id))}
            </FolderSection>
          ))}
        {byAge(
          found.filter(({ folder_id }) => wanted || !folders.some(({ id }) => id === folder_id)),
          dataUpdatedAt,
        ).map(([label, members]) => (
          <section
            key={label}
            onDragOver={(event) => isChat(event) && event.preventDefault()}
            onDrop={(event) => move(event.dataTransfer.getData(DRAGGED), null)}
          >
            <h2>{t(label)}</h2>
            {rows(members)}
          </section>
        ))}
      </div>
      {naming && (
        <FolderName
          onClose={() => setNaming(null)}
          onMade={(folder) => naming.move !== undefined && move(naming.move, folder.id)}
        />
      )}
      {prompts && <PromptsDialog onClose={() => setPrompts(false)} />}
      {doing?.what === "rename" && <Rename key={doing.to.id} one={doing.to} onClose={close} />}
      {doing?.what === "delete" && (
        <Delete
          one={doing.to}
          onClose={close}
          onGone={() => {
            if (doing.to.id === current) go("/chat");
          }}
        />
      )}
    </div>
  );
}

/** A title as the name of a file. */
const nameOf = ({ title }: ConversationSummary) => (title ?? "").replace(/[\\/:*?"<>|]/g, " ").trim() || "chat";

/** What concerns all conversations. */
function AllMenu({ onExport, onFolder, onPrompts }: Record<"onExport" | "onFolder" | "onPrompts", () => void>) {
  const { t } = useI18n();
  const errorText = useErrorText();
  const bring = useImport();
  const picker = useRef<HTMLInputElement>(null);
  return (
    <>
      <Menu trigger={<IconButton icon={MoreHorizontal} label={t("chat.all")} />}>
        <MenuItem icon={FolderPlus} onSelect={onFolder}>
          {t("chat.folderNew")}
        </MenuItem>
        <MenuItem icon={BookText} onSelect={onPrompts}>
          {t("chat.prompts")}
        </MenuItem>
        <MenuLine />
        <MenuItem icon={FileUp} onSelect={() => picker.current?.click()}>
          {t("chat.import")}
        </MenuItem>
        <MenuItem icon={Download} onSelect={onExport}>
          {t("chat.export")}
        </MenuItem>
      </Menu>
      <input
        ref={picker}
        type="file"
        hidden
        accept=".json"
        data-testid="chat-import"
        onChange={(event) => {
          const file = event.target.files?.[0];
          event.target.value = "";
          if (!file) return;
          bring.mutate(file, {
            onSuccess: (made) => toast(t("chat.imported", { n: made.length })),
            onError: (refusal) => toast(errorText(refusal).text, "bad"),
          });
        }}
      />
    </>
  );
}

function Rename({ one, onClose }: { one: ConversationSummary; onClose: () => void }) {
  const { t } = useI18n();
  const patch = usePatchConversation();
  const [title, setTitle] = useState(one.title ?? "");
  const save = () => {
    if (title.trim()) patch.mutate({ id: one.id, change: { title: title.trim() } });
    onClose();
  };
  return (
    <Dialog
      open
      onClose={onClose}
      title={t("chat.renameTitle")}
      onSubmit={save}
      actions={
        <>
          <Button onClick={onClose}>{t("do.cancel")}</Button>
          <Button tone="primary" type="submit" disabled={!title.trim()}>
            {t("do.save")}
          </Button>
        </>
      }
    >
      <Field label={t("chat.name")}>
        {(props) => (
          <input {...props} autoFocus maxLength={200} value={title} onChange={(e) => setTitle(e.target.value)} />
        )}
      </Field>
    </Dialog>
  );
}

function Delete({ one, onClose, onGone }: { one: ConversationSummary; onClose: () => void; onGone: () => void }) {
  const { t } = useI18n();
  const remove = useDeleteConversation();
  return (
    <Confirm
      open
      onClose={onClose}
      title={t("chat.deleteTitle")}
      hint={t("chat.deleteHint", { title: one.title || t("chat.untitled") })}
      verb={t("do.delete")}
      busy={remove.isPending}
      onConfirm={() =>
        remove.mutate(one.id, {
          onSuccess: () => {
            onGone();
            onClose();
          },
        })
      }
    />
  );
}
