import {
  Download,
  FileUp,
  FolderUp,
  LibraryBig,
  MessageCircle,
  MoreHorizontal,
  MoveRight,
  Pencil,
  Trash2,
} from "lucide-react";
import { useRef, useState } from "react";
import { Link, useLocation, useSearchParams } from "wouter";
import { Button, IconButton } from "@/components/Button";
import { Confirm } from "@/components/Dialog";
import { Menu, MenuItem } from "@/components/Menu";
import { Empty, ErrorPanel, Skeleton, useErrorText } from "@/components/states";
import { TabPanel, Tabs } from "@/components/Tabs";
import { ApiError, download } from "@/lib/api";
import { useI18n } from "@/lib/i18n";
import { useKbs } from "@/lib/queries";
import { toast } from "@/lib/toast";
import type { KnowledgeBase } from "@/lib/types";
import { useDeleteKb, useKb } from "./api";
import { AskPanel } from "./AskPanel";
import { DamagedKb } from "./DamagedKb";
import { DocumentList } from "./DocumentList";
import { DropVeil, useFileDrop } from "./FileDrop";
import { KbDialog } from "./KbDialog";
import css from "./KbPage.module.css";
import { MoveDialog } from "./MoveDialog";
import { Scoreboard } from "./Scoreboard";
import { SearchPanel } from "./SearchPanel";
import { SendingLine } from "./SendingLine";
import { TraceDrawer } from "./TraceDrawer";
import { TraceList } from "./TraceList";
import { useAddFiles, useSending } from "./useAddFiles";

const TABS = ["ask", "documents", "search", "traces", "board"] as const;

export default function KbPage({ kb: id }: { kb: string }) {
  const { t } = useI18n();
  const { data: kb, error, refetch } = useKb(id);
  const listed = useKbs().data?.find((one) => one.id === id);
  const [, go] = useLocation();
  // one that cannot be opened is told by the list: damage may show only when something of it is read
  const broken = listed?.error ?? (error instanceof ApiError && error.detail.type === "damaged" ? error.detail : null);
  if (broken)
    return (
      <div className={css.page}>
        <nav aria-label={t("rag.title")}>
          <Link href="/knowledge">{t("rag.title")}</Link> /
        </nav>
        <h1>{listed?.name ?? id}</h1>
        <DamagedKb kb={listed ?? { id, name: id }} error={broken} onDeleted={() => go("/knowledge")} />
      </div>
    );
  if (kb) return <Workspace kb={kb} />;
  const gone = error instanceof ApiError && error.status === 404;
  return (
    <div className={css.page}>
      {gone && <Empty icon={LibraryBig} title={t("rag.gone")} />}
      {error && !gone && <ErrorPanel error={error} retry={() => void refetch()} />}
      {!error && <Skeleton lines={5} />}
    </div>
  );
}

function Workspace({ kb }: { kb: KnowledgeBase }) {
  const { t } = useI18n();
  const [params, setParams] = useSearchParams();
  const picker = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const send = useAddFiles();
  const { sending, dismiss } = useSending(kb.id);
  const busy = sending !== null && sending.now !== null;

  const wanted = params.get("tab");
  const tab = TABS.find((name) => name === wanted) ?? (kb.num_documents ? "ask" : "documents");
  const show = (name: string) => setParams(name === "ask" && kb.num_documents ? {} : { tab: name });
  const add = (files: readonly File[]) => {
    show("documents");
    void send(kb.id, files);
  };
  const over = useFileDrop(add);
  const trace = params.get("trace");

  return (
    <div className={css.page}>
      <title>{`${kb.name} · Zhilu 指路`}</title>
      <header className={css.head}>
        <div className={css.words}>
          <nav aria-label={t("rag.title")}>
            <Link href="/knowledge">{t("rag.title")}</Link> /
          </nav>
          <h1>{kb.name}</h1>
          {kb.description && <p>{kb.description}</p>}
        </div>
        <Link href={`/chat?kb=${kb.id}`} className={css.chat}>
          <MessageCircle size={15} aria-hidden /> <span>{t("rag.chatWith")}</span>
        </Link>
        <Button tone="primary" icon={FileUp} busy={busy} onClick={() => picker.current?.click()}>
          {t("rag.addFiles")}
        </Button>
        <KbMenu kb={kb} onFolder={() => folder.current?.click()} />
        <input
          ref={folder}
          type="file"
          {...{ webkitdirectory: "" }}
          hidden
          data-testid="add-folder"
          onChange={(event) => {
            const files = [...(event.target.files ?? [])];
            event.target.value = "";
            if (files.length) add(files);
          }}
        />
        <input
          ref={picker}
          type="file"
          multiple
          hidden
          data-testid="add-files"
          onChange={(event) => {
            const files = [...(event.target.files ?? [])];
            event.target.value = ""; // the same file may be chosen again
            if (files.length) add(files);
          }}
        />
      </header>
      {sending && <SendingLine sending={sending} onDismiss={dismiss} />}
      <Tabs
        className={css.tabs}
        label={kb.name}
        value={tab}
        onChange={show}
        tabs={TABS.map((value) => ({
          value,
          label: value === "documents" ? `${t("rag.tab.documents")} ${kb.num_documents}` : t(`rag.tab.${value}`),
        }))}
      >
        <TabPanel value="ask" className={css.panel}>
          <AskPanel kb={kb} />
        </TabPanel>
        <TabPanel value="documents" className={css.panel}>
          <DocumentList kb={kb} onAdd={() => picker.current?.click()} />
        </TabPanel>
        <TabPanel value="search" className={css.panel}>
          <SearchPanel kb={kb} />
        </TabPanel>
        <TabPanel value="traces" className={css.panel}>
          <TraceList kb={kb} />
        </TabPanel>
        <TabPanel value="board" className={css.panel}>
          <Scoreboard kb={kb} />
        </TabPanel>
      </Tabs>
      {trace && (
        <TraceDrawer
          kb={kb.id}
          id={trace}
          onClose={() =>
            setParams((old) => {
              old.delete("trace");
              return old;
            })
          }
        />
      )}
      {over && <DropVeil text={t("rag.drop", { name: kb.name })} />}
    </div>
  );
}

function KbMenu({ kb, onFolder }: { kb: KnowledgeBase; onFolder: () => void }) {
  const { t } = useI18n();
  const [, go] = useLocation();
  const remove = useDeleteKb();
  const [doing, setDoing] = useState<"rename" | "move" | "delete" | null>(null);
  const errorText = useErrorText();
  const tell = (error: unknown) => toast(errorText(error).text, "bad");
  const close = () => setDoing(null);
  return (
    <>
      <Menu trigger={<IconButton icon={MoreHorizontal} label={t("do.more")} />}>
        <MenuItem icon={Pencil} onSelect={() => setDoing("rename")}>
          {t("do.rename")}
        </MenuItem>
        <MenuItem icon={FolderUp} onSelect={onFolder}>
          {t("rag.addFolder")}
        </MenuItem>
        <MenuItem
          icon={Download}
          onSelect={() => void download(`/kbs/${kb.id}/export`, `${kb.name}.zhilu-kb.zip`).catch(tell)}
        >
          {t("rag.export")}
        </MenuItem>
        <MenuItem icon={MoveRight} onSelect={() => setDoing("move")}>
          {t("rag.move")}
        </MenuItem>
        <MenuItem icon={Trash2} danger onSelect={() => setDoing("delete")}>
          {t("do.delete")}
        </MenuItem>
      </Menu>
      {doing === "move" && <MoveDialog kb={kb} onClose={close} />}
      {doing === "rename" && <KbDialog open kb={kb} onClose={close} onDone={close} />}
      <Confirm
        open={doing === "delete"}
        onClose={close}
        title={t("rag.deleteTitle")}
        hint={t("rag.deleteHint", { name: kb.name, n: kb.num_documents })}
        verb={t("do.delete")}
        busy={remove.isPending}
        onConfirm={() => remove.mutate(kb.id, { onSuccess: () => go("/knowledge") })}
      />
    </>
  );
}
