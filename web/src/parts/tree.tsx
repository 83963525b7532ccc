// The folder as a tree. Only the rows in sight exist as elements, so that 50,000 files cost nothing;
// the keyboard's place is told by aria-activedescendant, whose row is always among them.

import { signal } from "@preact/signals";
import type { TargetedDragEvent, TargetedKeyboardEvent } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { download, moveInto, naming, remove, startNaming, startRename } from "../model/deeds";
import { folderOf, lookOf } from "../model/kinds";
import { files, placesOf, present } from "../model/pool";
import { oneLine, shownPath } from "../model/shown";
import { active, open } from "../model/tabs";
import { type Row, rows, unfold } from "../model/tree";
import { takeDrop } from "../model/uploads";
import { FileIcon, Icon } from "./icons";
import { openMenu } from "./menu";
import { NameField } from "./name_field";

const ROW = 28; // px, also in the style sheet
const BEYOND = 8; // rows drawn above and below what is seen
const TYPED = 700; // ms within which letters belong to one name
const MOST_DOTS = 3;

const place = signal(""); // path of the row the keyboard is at
const window_ = signal({ top: 0, height: 600 });
const over_ = signal<string | null>(null); // folder that something is dragged over; "" the whole
const DRAGGED = "application/x-meerkat-path";

type Shown = Row | { field: true; level: number; folder: boolean };

/** Rows, with the field for a new name at its place. */
function withField(list: readonly Row[]): Shown[] {
  const now = naming.value;
  if (!now || now.kind === "rename") return [...list];
  const at = now.folder ? list.findIndex((row) => row.file.path === now.folder) : -1;
  if (now.folder && at < 0) return [...list];
  const level = at < 0 ? 1 : list[at]!.level + 1;
  const field: Shown = { field: true, level, folder: now.kind === "folder" };
  return [...list.slice(0, at + 1), field, ...list.slice(at + 1)];
}

const idOf = (path: string) => `row-${encodeURIComponent(path)}`;

export function Tree() {
  const box = useRef<HTMLDivElement>(null);
  const typed = useRef({ text: "", at: 0 });
  const list = rows.value;
  const shown = withField(list);
  const current = place.value;
  const at = list.findIndex((row) => row.file.path === current);

  useLayoutEffect(() => {
    const element = box.current!;
    const watch = new ResizeObserver(() => {
      window_.value = { ...window_.peek(), height: element.clientHeight };
    });
    watch.observe(element);
    return () => watch.disconnect();
  }, []);

  const front = active.value?.path ?? "";
  useEffect(() => {
    if (front) place.value = front;
  }, [front]);
  useEffect(() => {
    const element = box.current!;
    if (at < 0) return;
    const top = at * ROW;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + ROW > element.scrollTop + element.clientHeight) {
      element.scrollTop = top + ROW - element.clientHeight;
    }
  }, [current, at]);

  const first = Math.max(0, Math.floor(window_.value.top / ROW) - BEYOND);
  const last = Math.ceil((window_.value.top + window_.value.height) / ROW) + BEYOND;
  const visible = shown.slice(first, last).map((row, i) => ({ row, index: first + i }));
  const placed = shown.findIndex((row) => "file" in row && row.file.path === current);
  if (placed >= 0 && (placed < first || placed >= last)) {
    visible.push({ row: shown[placed]!, index: placed });
  }

  const go = (to: number) => {
    const row = list[Math.max(0, Math.min(list.length - 1, to))];
    if (row) place.value = row.file.path;
  };

  const onKey = (event: TargetedKeyboardEvent<HTMLDivElement>) => {
    if (event.target !== event.currentTarget) return;
    const row = list[at];
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    switch (event.key) {
      case "ArrowDown":
        go(at + 1);
        break;
      case "ArrowUp":
        go(at < 0 ? 0 : at - 1);
        break;
      case "Home":
        go(0);
        break;
      case "End":
        go(list.length - 1);
        break;
      case "PageDown":
        go(at + Math.floor(window_.value.height / ROW));
        break;
      case "PageUp":
        go(at - Math.floor(window_.value.height / ROW));
        break;
      case "ArrowRight":
        if (row?.file.kind !== "folder") return;
        if (row.open) go(at + 1);
        else unfold(row.file.path, true);
        break;
      case "ArrowLeft":
        if (!row) return;
        if (row.open) unfold(row.file.path, false);
        else if (row.level > 1) place.value = folderOf(row.file.path);
        break;
      case "Enter":
      case " ":
        if (row) activate(row);
        break;
      case "F2":
        if (row) startRename(row.file.path);
        break;
      case "Delete":
      case "Backspace":
        if (!row || (event.key === "Backspace" && !event.metaKey)) return;
        void remove(row.file.path);
        break;
      case "ContextMenu":
      case "F10": {
        if (event.key === "F10" && !event.shiftKey) return;
        const element = row && document.getElementById(idOf(row.file.path));
        const spot = (element ?? event.currentTarget).getBoundingClientRect();
        showMenu(row ?? null, spot.left + 40, spot.top + ROW);
        break;
      }
      default: {
        if (!plain || event.key.length !== 1) return;
        if (event.key === "?") return;
        const now = performance.now();
        const text = (now - typed.current.at < TYPED ? typed.current.text : "") + event.key;
        typed.current = { text, at: now };
        const wanted = text.toLowerCase();
        const begin = text.length > 1 ? Math.max(at, 0) : at + 1;
        for (let i = 0; i < list.length; i++) {
          const to = (begin + i) % list.length;
          if (list[to]!.name.toLowerCase().startsWith(wanted)) {
            go(to);
            break;
          }
        }
      }
    }
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    <div
      ref={box}
      class={`tree${over_.value === "" ? " drop" : ""}`}
      role="tree"
      aria-label="Files"
      tabIndex={0}
      aria-activedescendant={at >= 0 ? idOf(current) : undefined}
      onKeyDown={onKey}
      onScroll={(event) => {
        window_.value = { ...window_.value, top: event.currentTarget.scrollTop };
      }}
      onFocus={() => {
        if (at < 0) go(0);
      }}
      onContextMenu={(event) => {
        event.preventDefault();
        showMenu(null, event.clientX, event.clientY);
      }}
      {...dropInto("")}
    >
      <div class="tree-rows" role="presentation" style={{ height: `${shown.length * ROW}px` }}>
        {visible.map(({ row, index }) =>
          "field" in row ? (
            <NameField key="field" level={row.level} top={index * ROW} folder={row.folder} />
          ) : (
            <TreeRow
              key={row.file.path}
              row={row}
              top={index * ROW}
              here={row.file.path === current}
            />
          ),
        )}
      </div>
      {files.value && list.length === 0 && !naming.value && (
        <p class="empty">
          Nothing here yet. Drop files onto this page, or make one with <b>New file</b>.
        </p>
      )}
    </div>
  );
}

const folderAt = (row: Row) =>
  row.file.kind === "folder" ? row.file.path : folderOf(row.file.path);

/** Where something new goes: the folder at the keyboard's place. */
export function folderInFocus(): string {
  const row = rows.value.find((one) => one.file.path === place.value);
  return row ? folderAt(row) : "";
}

function activate(row: Row): void {
  place.value = row.file.path;
  if (row.file.kind === "folder") unfold(row.file.path, !row.open);
  else open(row.file.path);
}

function showMenu(row: Row | null, x: number, y: number): void {
  if (row) place.value = row.file.path;
  const folder = row ? folderAt(row) : "";
  openMenu(
    x,
    y,
    [
      ...(row && row.file.kind !== "folder"
        ? [{ label: "Open", run: () => open(row.file.path), keys: "Enter" }]
        : []),
      { label: "New file", run: () => startNaming("file", folder), keys: "Alt N" },
      { label: "New folder", run: () => startNaming("folder", folder), keys: "Alt Shift N" },
      ...(row
        ? [
            { label: "Rename", run: () => startRename(row.file.path), keys: "F2" },
            ...(row.file.kind === "folder"
              ? []
              : [
                  {
                    label: "Download",
                    run: () => download(row.file.path),
                  },
                ]),
            {
              label: "Delete",
              run: () => void remove(row.file.path),
              keys: "Del",
              danger: true,
            },
          ]
        : []),
    ],
    document.querySelector<HTMLElement>(".tree"),
  );
}

function TreeRow({ row, top, here }: { row: Row; top: number; here: boolean }) {
  const { file, name } = row;
  const folder = file.kind === "folder";
  const now = naming.value;
  const front = active.value?.path === file.path;
  const renaming = now?.kind === "rename" && now.path === file.path;
  const style = { top: `${top}px`, paddingLeft: `${8 + (row.level - 1) * 14}px` };
  if (renaming) {
    return <NameField level={row.level} top={top} folder={folder} name={name} />;
  }
  return (
    <div
      id={idOf(file.path)}
      role="treeitem"
      class={`row${here ? " here" : ""}${front ? " front" : ""}${over_.value === file.path ? " drop" : ""}`}
      style={style}
      aria-level={row.level}
      aria-setsize={row.setSize}
      aria-posinset={row.position}
      aria-expanded={folder ? row.open : undefined}
      aria-selected={here}
      draggable
      onClick={() => activate(row)}
      onContextMenu={(event) => {
        event.preventDefault();
        event.stopPropagation();
        showMenu(row, event.clientX, event.clientY);
      }}
      onDragStart={(event) => {
        event.dataTransfer?.setData(DRAGGED, file.path);
      }}
      {...dropInto(folder ? file.path : folderOf(file.path))}
    >
      <span class={`twist${row.open ? " open" : ""}`}>
        {folder && <Icon name="chevron" size={12} />}
      </span>
      <FileIcon look={lookOf(file)} />
      <span class={`name${row.empty ? " faint" : ""}`}>{shownPath(name)}</span>
      {file.conflict && (
        <span class="row-mark" title="Kept twice: settle it by keeping one of the two">
          <Icon name="conflict" size={14} />
          <span class="hidden">, kept twice</span>
        </span>
      )}
      <Dots path={file.path} folder={folder && !row.open} />
    </div>
  );
}

/** Who is in a file, or somewhere in a folded folder. */
function Dots({ path, folder }: { path: string; folder: boolean }) {
  const found = new Map<string, { name: string; color: string }>();
  const colors = new Map(present.value.map((one) => [one.member, one]));
  for (const [where, people] of placesOf.value) {
    if (where !== path && !(folder && where.startsWith(`${path}/`))) continue;
    for (const person of people) {
      const one = colors.get(person.member);
      if (!person.own && one) found.set(person.member, one);
    }
  }
  if (!found.size) return null;
  const all = [...found.values()];
  const names = all.map((one) => oneLine(one.name)).join(", ");
  return (
    <span class="dots" title={`Here: ${names}`}>
      {all.slice(0, MOST_DOTS).map((one) => (
        <span key={one.name} class="dot" style={{ backgroundColor: one.color }} />
      ))}
      <span class="hidden">, here: {names}</span>
    </span>
  );
}

/** What is dropped on an element goes into this folder. */
export function dropInto(folder: string) {
  return {
    onDragOver: (event: TargetedDragEvent<HTMLElement>) => {
      if (!event.dataTransfer) return;
      event.preventDefault();
      event.stopPropagation();
      event.dataTransfer.dropEffect = event.dataTransfer.types.includes(DRAGGED) ? "move" : "copy";
      if (over_.value !== folder) over_.value = folder;
    },
    onDragLeave: (event: TargetedDragEvent<HTMLElement>) => {
      const to = event.relatedTarget as Node | null;
      if (!to || !event.currentTarget.contains(to)) over_.value = null;
    },
    onDrop: (event: TargetedDragEvent<HTMLElement>) => {
      event.preventDefault();
      event.stopPropagation();
      over_.value = null;
      if (!event.dataTransfer) return;
      const path = event.dataTransfer.getData(DRAGGED);
      if (path) void moveInto(path, folder);
      else void takeDrop(event.dataTransfer, folder);
    },
  };
}

/** Show a path in the tree: its row is where the keyboard is. */
export function placeAt(path: string): void {
  place.value = path;
}
