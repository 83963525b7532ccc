// What can be done by name (in the palette) or by a key; the help lists the same.

import { openSearchPanel } from "@codemirror/search";
import { remove, startNaming, startRename } from "../model/deeds";
import { over, sheet } from "../model/saying";
import { phone, showFiles, showSide, theme, wrap } from "../model/settings";
import { active, close, openClosed, step } from "../model/tabs";
import { editorOf } from "./editor_pane";
import { MOD } from "./header";
import { folderInFocus } from "./tree";

export interface Command {
  name: string;
  keys?: string;
  run: () => void;
}

/** What makes sense now. */
export function commands(): Command[] {
  const tab = active.peek();
  const view = editorOf(tab);
  return [
    { name: "New file", keys: "Alt N", run: () => begin("file") },
    { name: "New folder", keys: "Alt Shift N", run: () => begin("folder") },
    ...(tab
      ? [
          { name: "Rename this file", run: () => withTree(() => startRename(tab.path)) },
          { name: "Delete this file", run: () => void remove(tab.path) },
          { name: "Close this tab", keys: "Alt W", run: () => void close() },
        ]
      : []),
    { name: "Open the tab closed last", keys: "Alt Shift T", run: openClosed },
    ...(view
      ? [
          {
            name: "Find and replace",
            keys: `${MOD}F`,
            run: () => {
              view.focus();
              openSearchPanel(view);
            },
          },
        ]
      : []),
    { name: "Wrap long lines", keys: "Alt Z", run: () => flip(wrap) },
    { name: "Show or hide files", keys: `${MOD}B`, run: toggleFiles },
    { name: "Show or hide people, map and chat", keys: `${MOD}J`, run: toggleSide },
    { name: "Write to everyone", keys: "Alt C", run: () => focusOn("chat", ".writing textarea") },
    { name: "Show the network", keys: "Alt M", run: () => show("network") },
    { name: "What is synced", keys: "Alt I", run: () => show("status") },
    { name: "Colors: light", run: () => setTheme("light") },
    { name: "Colors: dark", run: () => setTheme("dark") },
    { name: "Colors: as the system", run: () => setTheme("auto") },
    { name: "Keyboard shortcuts", keys: "?", run: () => show("help") },
  ];
}

const flip = (setting: { value: boolean }) => {
  setting.value = !setting.value;
};
const show = (what: "network" | "status" | "help") => {
  over.value = what;
};
const setTheme = (wanted: "auto" | "light" | "dark") => {
  theme.value = wanted;
};

function toggleFiles(): void {
  if (phone.peek()) sheet.value = sheet.peek() === "files" ? "" : "files";
  else flip(showFiles);
}

function toggleSide(): void {
  if (phone.peek()) sheet.value = sheet.peek() === "people" ? "" : "people";
  else flip(showSide);
}

function withTree(run: () => void): void {
  if (phone.peek()) sheet.value = "files";
  else showFiles.value = true;
  if (document.querySelector(".tree")) run();
  else requestAnimationFrame(run);
}

function begin(kind: "file" | "folder"): void {
  withTree(() => startNaming(kind, folderInFocus()));
}

function focusOn(on: "chat" | "files", selector: string): void {
  if (phone.peek()) sheet.value = on;
  else if (on === "chat") showSide.value = true;
  else showFiles.value = true;
  const focus = () => document.querySelector<HTMLElement>(selector)?.focus();
  if (document.querySelector(selector))
    focus(); // before the next key
  else requestAnimationFrame(focus);
}

/** The parts of the page that F6 goes through. */
const PARTS = [
  ".tree",
  ".tab.front [role=tab]",
  ".cm-content",
  ".table-tabs [aria-selected=true]",
  ".grid [role=gridcell][tabindex='0']",
  ".people button",
  ".writing textarea",
];

function nextPart(by: number): void {
  const there = PARTS.map((one) => document.querySelector<HTMLElement>(one)).filter(
    (one): one is HTMLElement => one !== null && one.offsetParent !== null,
  );
  const now = there.findIndex((one) => one.contains(document.activeElement));
  there[(now + by + there.length) % there.length]?.focus();
}

/** Keys that work wherever one is. */
export function onKey(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing) return;
  const mod = event.ctrlKey || event.metaKey;
  const key = event.key.toLowerCase();
  const target = event.target as HTMLElement;
  const typing = target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
  if (document.querySelector("dialog[open]")) return;
  let done = true;
  if (mod && !event.altKey && !event.shiftKey && (key === "p" || key === "k"))
    over.value = "palette";
  else if (mod && !event.altKey && !event.shiftKey && key === "b") toggleFiles();
  else if (mod && !event.altKey && !event.shiftKey && key === "j") toggleSide();
  else if (mod && !event.altKey && !event.shiftKey && key === "s")
    done = true; // it is saved anyway
  else if (event.key === "F6") nextPart(event.shiftKey ? -1 : 1);
  else if (event.altKey && !mod) done = onAlt(event);
  else if (!typing && !mod && event.key === "?") over.value = "help";
  else done = false;
  if (done) event.preventDefault();
}

/** By the key's place: with Alt, a Mac's keys give other letters. */
function onAlt(event: KeyboardEvent): boolean {
  switch (event.code) {
    case "KeyW":
      void close();
      return true;
    case "KeyT":
      if (event.shiftKey) openClosed();
      return event.shiftKey;
    case "KeyN":
      begin(event.shiftKey ? "folder" : "file");
      return true;
    case "KeyZ":
      flip(wrap);
      return true;
    case "KeyC":
      focusOn("chat", ".writing textarea");
      return true;
    case "KeyF":
      focusOn("files", ".tree");
      return true;
    case "KeyM":
      show("network");
      return true;
    case "KeyI":
      show("status");
      return true;
    case "PageDown":
      step(1);
      return true;
    case "PageUp":
      step(-1);
      return true;
    default:
      return false;
  }
}

/** What the help lists: a heading, then keys and what they do. */
export const KEYS: { head: string; keys: [string, string][] }[] = [
  {
    head: "Everywhere",
    keys: [
      [`${MOD}P or ${MOD}K`, "go to a file; > for commands"],
      ["F6, Shift F6", "next, previous part of the page"],
      [`${MOD}B, ${MOD}J`, "files, people and chat: show or hide"],
      ["Alt F, Alt C", "to the files, to the chat"],
      ["Alt M, Alt I", "the network, what is synced"],
      ["?", "this help"],
    ],
  },
  {
    head: "Tabs",
    keys: [
      ["Alt PageDown, Alt PageUp", "next, previous"],
      ["Alt W, Alt Shift T", "close, open again"],
    ],
  },
  {
    head: "Text",
    keys: [
      [`${MOD}Z, ${MOD}Shift Z`, "undo, redo what you did yourself"],
      [`${MOD}F`, "find and replace"],
      ["Alt G", "go to a line"],
      [`${MOD}D`, "choose the next same word"],
      ["Alt Z", "wrap long lines"],
      ["Escape, then Tab", "leave the text"],
    ],
  },
  {
    head: "Databases",
    keys: [
      ["Arrows, PageDown, Home …", "go from cell to cell"],
      ["Enter, F2 or typing", "change a cell"],
      ["Enter, Tab; Escape", "keep it; leave it as it was"],
      ["Delete", "delete the row"],
      [`${MOD}C, Shift F10`, "copy, menu"],
    ],
  },
  {
    head: "Files",
    keys: [
      ["Arrows, Enter", "go, unfold, open"],
      ["Alt N, Alt Shift N", "new file, new folder"],
      ["Letters", "go to a name"],
      ["F2, Delete", "rename, delete"],
      ["Shift F10", "menu"],
    ],
  },
];
