import { expect, test } from "vitest";
import { batches, dropped, isShared, pathOf } from "./files";

const sized = (name: string, size: number) => ({ name, size, webkitRelativePath: "" }) as File;

test("requests are small, and a large file goes alone", () => {
  const many = Array.from({ length: 90 }, (_, n) => sized(`${n}`, 1));
  expect(batches(many).map((some) => some.length)).toEqual([40, 40, 10]);
  const mb = 1024 * 1024;
  expect(batches([sized("a", mb), sized("b", 50 * mb), sized("c", mb)]).map((some) => some.map((f) => f.name))).toEqual(
    [["a"], ["b"], ["c"]],
  );
  expect(batches([])).toEqual([]);
});

function file(path: string) {
  const name = path.split("/").pop()!;
  const made = {
    name,
    fullPath: `/${path}`,
    isDirectory: false,
    file: (done: (f: File) => void) => done(new File(["x"], name)),
  };
  return made as unknown as FileSystemEntry;
}

function folder(name: string, rounds: FileSystemEntry[][]) {
  const left = [...rounds, []];
  const createReader = () => ({ readEntries: (done: (e: FileSystemEntry[]) => void) => done(left.shift()!) });
  return { name, fullPath: `/${name}`, isDirectory: true, createReader } as unknown as FileSystemEntry;
}

test("a dropped folder keeps its paths, and what a file manager left is passed over", async () => {
  const inner = folder("docs/deep", [[file("docs/deep/b.md")]]);
  const top = folder("docs", [[file("docs/a.md"), file("docs/.DS_Store")], [inner]]);
  const items = [top, file("c.txt")].map((entry) => ({ webkitGetAsEntry: () => entry }));
  const found = await dropped({ items, files: [] } as unknown as DataTransfer);
  expect(found.map(pathOf)).toEqual(["docs/a.md", "docs/deep/b.md", "c.txt"]);
});

test("a shared knowledge base is told by its name", () => {
  expect([isShared(sized("a.zhilu-kb.zip", 1)), isShared(sized("a.zip", 1))]).toEqual([true, false]);
});
