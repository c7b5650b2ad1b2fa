/** Files with the folders they came with: chosen as a folder, or dropped as one. */

const paths = new WeakMap<File, string>();

/** `guide/install.md` for a file of a folder, else its own name. */
export const pathOf = (file: File): string => paths.get(file) ?? (file.webkitRelativePath || file.name);

const IGNORED = /^(\.DS_Store|Thumbs\.db|desktop\.ini|\._.*)$/;

/** All files of a drop, those of folders one by one. Must be called within the drop's event: the browser forgets it after. */
export async function dropped(transfer: DataTransfer): Promise<File[]> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  return (await Promise.all(entries.map(filesOf))).flat();
}

async function filesOf(entry: FileSystemEntry): Promise<File[]> {
  if (entry.isDirectory) {
    const reader = (entry as FileSystemDirectoryEntry).createReader();
    const found: File[] = [];
    for (;;) {
      // a reader gives a hundred at a time, and none when it is through
      const some = await new Promise<FileSystemEntry[]>((done, fail) => reader.readEntries(done, fail));
      if (!some.length) return found;
      for (const inner of some) found.push(...(await filesOf(inner)));
    }
  }
  if (IGNORED.test(entry.name)) return [];
  const file = await new Promise<File>((done, fail) => (entry as FileSystemFileEntry).file(done, fail));
  paths.set(file, entry.fullPath.replace(/^\/+/, ""));
  return [file];
}

const MOST_FILES = 40;
const MOST_BYTES = 8 * 1024 * 1024;

/** Requests of a size that shows progress: at most 40 files or 8 MB, a larger file alone. */
export function batches(files: readonly File[]): File[][] {
  const made: File[][] = [];
  let size = Infinity;
  for (const file of files) {
    const last = made[made.length - 1];
    if (last && last.length < MOST_FILES && size + file.size <= MOST_BYTES) last.push(file);
    else {
      made.push([file]);
      size = 0;
    }
    size += file.size;
  }
  return made;
}

export const isShared = (file: File): boolean => file.name.endsWith(".zhilu-kb.zip");
