import { Folder, MoreHorizontal, Pencil, Trash2 } from "lucide-react";
import { useState, type DragEvent, type ReactNode } from "react";
import { Button, IconButton } from "@/components/Button";
import { Confirm, Dialog } from "@/components/Dialog";
import { Field } from "@/components/Field";
import { Menu, MenuItem } from "@/components/Menu";
import { ErrorPanel } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import css from "./Folders.module.css";
import { useDeleteFolder, useSaveFolder, type ChatFolder } from "./shelf";

/** What a conversation that is dragged is called. */
export const DRAGGED = "application/x-zhilu-chat";
export const isChat = (event: DragEvent) => event.dataTransfer.types.includes(DRAGGED);

interface FolderProps {
  folder: ChatFolder;
  count: number;
  onDrop: (conversation: string) => void;
  children: ReactNode;
}

/** A folder of conversations, which can be folded and dropped into. */
export function FolderSection({ folder, count, onDrop, children }: FolderProps) {
  const { t } = useI18n();
  const [over, setOver] = useState(false);
  const [doing, setDoing] = useState<"rename" | "delete" | null>(null);
  const remove = useDeleteFolder();
  return (
    <section
      className={css.folder}
      data-over={over || undefined}
      data-testid="chat-folder"
      onDragOver={(event) => {
        if (!isChat(event)) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        setOver(false);
        onDrop(event.dataTransfer.getData(DRAGGED));
      }}
    >
      <details open>
        <summary>
          <Folder size={14} aria-hidden />
          <span>{folder.name}</span>
          <small>{count}</small>
          <Menu trigger={<IconButton small icon={MoreHorizontal} label={`${t("do.more")}: ${folder.name}`} />}>
            <MenuItem icon={Pencil} onSelect={() => setDoing("rename")}>
              {t("do.rename")}
            </MenuItem>
            <MenuItem icon={Trash2} danger onSelect={() => setDoing("delete")}>
              {t("do.delete")}
            </MenuItem>
          </Menu>
        </summary>
        {children}
      </details>
      {doing === "rename" && <FolderName folder={folder} onClose={() => setDoing(null)} />}
      {doing === "delete" && (
        <Confirm
          open
          onClose={() => setDoing(null)}
          title={t("chat.folderDelete")}
          hint={t("chat.folderDeleteHint", { name: folder.name })}
          verb={t("do.delete")}
          busy={remove.isPending}
          onConfirm={() => remove.mutate(folder.id, { onSuccess: () => setDoing(null) })}
        />
      )}
    </section>
  );
}

interface NameProps {
  folder?: ChatFolder;
  onClose: () => void;
  onMade?: (folder: ChatFolder) => void;
}

/** A new folder, or another name for one. */
export function FolderName({ folder, onClose, onMade }: NameProps) {
  const { t } = useI18n();
  const save = useSaveFolder();
  const [name, setName] = useState(folder?.name ?? "");
  return (
    <Dialog
      open
      onClose={onClose}
      title={folder ? t("chat.folderRename") : t("chat.folderNew")}
      onSubmit={() =>
        save.mutate(
          { id: folder?.id, name },
          {
            onSuccess: (made) => {
              onMade?.(made);
              onClose();
            },
          },
        )
      }
      actions={
        <>
          <Button onClick={onClose}>{t("do.cancel")}</Button>
          <Button tone="primary" type="submit" busy={save.isPending} disabled={!name.trim()}>
            {t("do.save")}
          </Button>
        </>
      }
    >
      <Field label={t("chat.folderName")}>
        {(control) => (
          <input
            {...control}
            autoFocus
            maxLength={100}
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
        )}
      </Field>
      {save.error && <ErrorPanel error={save.error} />}
    </Dialog>
  );
}
