// The folder as rows: what is open is unfolded, folders first, names in the reader's order.

import { computed, signal } from "@preact/signals";
import { folderOf, nameOf } from "./kinds";
import { files } from "./pool";
import type { FileFacts } from "./types";

export interface Branch {
  file: FileFacts;
  name: string;
  children: Branch[];
}

export interface Row {
  file: FileFacts;
  name: string;
  level: number; // from 1
  setSize: number;
  position: number; // from 1
  open: boolean;
  empty: boolean;
}

const order = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

/** Paths of unfolded folders. */
export const unfolded = signal<ReadonlySet<string>>(new Set());

const compare = (a: Branch, b: Branch) =>
  Number(b.file.kind === "folder") - Number(a.file.kind === "folder") ||
  order.compare(a.name, b.name) ||
  (a.name < b.name ? -1 : 1);

/** The tree of a list of paths. Folders that nobody lists are there all the same. */
export function grow(list: readonly FileFacts[]): Branch {
  const root: Branch = {
    file: {
      path: "",
      kind: "folder",
      size: 0,
      executable: false,
      conflict: false,
      problem: "",
      aside: 0,
    },
    name: "",
    children: [],
  };
  const folders = new Map<string, Branch>([["", root]]);
  const at = (path: string): Branch => {
    let folder = folders.get(path);
    if (!folder) {
      const file: FileFacts = {
        path,
        kind: "folder",
        size: 0,
        executable: false,
        conflict: false,
        problem: "",
        aside: 0,
      };
      folder = { file, name: nameOf(path), children: [] };
      folders.set(path, folder);
      at(folderOf(path)).children.push(folder);
    }
    return folder;
  };
  for (const file of list) {
    if (file.kind === "folder") at(file.path).file = file;
    else at(folderOf(file.path)).children.push({ file, name: nameOf(file.path), children: [] });
  }
  for (const folder of folders.values()) folder.children.sort(compare);
  return root;
}

export const root = computed(() => grow(files.value ?? []));

export const rows = computed<Row[]>(() => {
  const found: Row[] = [];
  const open = unfolded.value;
  const walk = (branch: Branch, level: number) => {
    branch.children.forEach((child, i) => {
      const folder = child.file.kind === "folder";
      const isOpen = folder && open.has(child.file.path);
      found.push({
        file: child.file,
        name: child.name,
        level,
        setSize: branch.children.length,
        position: i + 1,
        open: isOpen,
        empty: folder && child.children.length === 0,
      });
      if (isOpen) walk(child, level + 1);
    });
  };
  walk(root.value, 1);
  return found;
});

export function unfold(path: string, open: boolean): void {
  const next = new Set(unfolded.value);
  if (open) next.add(path);
  else next.delete(path);
  unfolded.value = next;
}

/** Unfold everything above a path. */
export function reveal(path: string): void {
  const next = new Set(unfolded.value);
  for (let up = folderOf(path); up; up = folderOf(up)) next.add(up);
  if (next.size !== unfolded.value.size) unfolded.value = next;
}
