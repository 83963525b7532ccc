// What is open in the middle: texts, previews; and the address bar, which names the one in front.

import { batch, computed, effect, signal } from "@preact/signals";
import { link, onOpen } from "./control";
import { nameOf, type View, viewOf } from "./kinds";
import { LiveText } from "./live_text";
import { fileAt, files, ownColor, ownName, people, status, unread } from "./pool";
import { askPerson, sheet } from "./saying";
import { oneLine, shownPath } from "./shown";
import { forgetToken } from "./token";
import { reveal } from "./tree";

export interface Tab {
  id: number;
  path: string;
  view: View;
  text: LiveText | null;
}

export const tabs = signal<Tab[]>([]);
export const activeId = signal(0);
export const active = computed(() => tabs.value.find((tab) => tab.id === activeId.value) ?? null);
/** The line and column to go to once a text is shown. */
export const goTo = signal<{ path: string; user: string } | null>(null);

const MOST_CLOSED = 20;
const closed: string[] = [];
let lastId = 0;
/** Paths that were made here just now: no text yet, but soon. */
const expected = new Set<string>();

/** The process does not know our token. */
export function refused(): void {
  forgetToken();
  link.value = "refused";
}

export function expect(path: string): void {
  expected.add(path);
  window.setTimeout(() => expected.delete(path), 15_000);
}

/** Open a file, or go to where it is open. */
export function open(path: string, as?: View): void {
  const there = tabs.value.find((tab) => tab.path === path);
  batch(() => {
    if (there) {
      activeId.value = there.id;
    } else {
      const file = fileAt.value.get(path);
      const view = as ?? (file ? viewOf(file) : "text");
      const tab: Tab = { id: ++lastId, path, view, text: null };
      if (view === "text") tab.text = begin(path);
      const at = tabs.value.findIndex((one) => one.id === activeId.value) + 1;
      tabs.value = [...tabs.value.slice(0, at), tab, ...tabs.value.slice(at)];
      activeId.value = tab.id;
    }
    reveal(path);
    sheet.value = "";
  });
}

function begin(path: string): LiveText {
  const isExpected = (at: string) => expected.has(at) || fileAt.value.get(at)?.kind === "text";
  const text = new LiveText(path, refused, isExpected);
  showUser(text);
  return text;
}

function showUser(text: LiveText): void {
  const color = ownColor.peek();
  text.setUser({ name: ownName.peek() || "me", color, colorLight: `${color}33` });
}

/** Close a tab; asks first if something typed in it has not arrived. */
export async function close(id = activeId.value): Promise<void> {
  const tab = tabs.value.find((one) => one.id === id);
  if (!tab) return;
  if (tab.text?.unsent) {
    const { value } = await askPerson({
      title: "Close this text?",
      text: "What you typed since the connection was lost is only in this tab, and would be lost.",
      detail: tab.path,
      choices: [
        { label: "Keep it open", value: "" },
        { label: "Close and lose it", value: "close", kind: "danger" },
      ],
    });
    if (!value) return;
  }
  remove(id);
}

function remove(id: number): void {
  const at = tabs.value.findIndex((one) => one.id === id);
  const tab = tabs.value[at];
  if (!tab) return;
  batch(() => {
    tabs.value = tabs.value.filter((one) => one.id !== id);
    if (activeId.value === id) {
      activeId.value = (tabs.value[at] ?? tabs.value[at - 1])?.id ?? 0;
    }
  });
  tab.text?.close();
  closed.push(tab.path);
  if (closed.length > MOST_CLOSED) closed.shift();
}

/** The tab that was closed last, again. */
export function openClosed(): void {
  for (let path = closed.pop(); path; path = closed.pop()) {
    if (fileAt.value.has(path)) {
      open(path);
      return;
    }
  }
}

/** The next tab to the right, or with -1 to the left. */
export function step(by: number): void {
  const list = tabs.value;
  const at = list.findIndex((tab) => tab.id === activeId.value);
  const next = list[(at + by + list.length) % list.length];
  if (next) activeId.value = next.id;
}

/** A file or a folder has another path: what is open of it goes along. */
export function moved(from: string, to: string): void {
  let any = false;
  for (const tab of tabs.value) {
    if (tab.path === from || tab.path.startsWith(`${from}/`)) {
      tab.path = to + tab.path.slice(from.length);
      tab.text?.moved(tab.path);
      any = true;
    }
  }
  if (any) tabs.value = tabs.value.map((tab) => ({ ...tab })); // new ones, so that it is noticed
}

/**
 * Somebody else gave an open text another path: the session goes on, and its end of it says where.
 * Our own sessions are told with their paths; the one that no tab accounts for is the one.
 */
function lookForMoved(): void {
  if (!files.value) return;
  const gone = tabs
    .peek()
    .filter((tab) => tab.text?.provider.synced && !fileAt.value.has(tab.path));
  if (!gone.length) return;
  const shown = new Set(tabs.peek().map((tab) => tab.path));
  const paths = new Set(people.value.filter((one) => one.own).map((one) => one.path));
  const free = [...paths].filter(
    (path) => !shown.has(path) && fileAt.value.get(path)?.kind === "text",
  );
  for (const tab of gone) {
    const likely = free.filter((path) => nameOf(path) === nameOf(tab.path));
    const found = likely.length === 1 ? likely[0] : free.length === 1 ? free[0] : undefined;
    if (found) queueMicrotask(() => moved(tab.path, found));
  }
}

/** Show the same file in another way: as a picture, or as the text that it is. */
export function showAs(tab: Tab, view: View): void {
  const { id, path } = tab;
  const text = view === "text" ? begin(path) : null;
  tabs.value = tabs.value.map((one) => (one.id === id ? { id, path, view, text } : one));
  tab.text?.close();
}

/** The text was closed because there is another kind of file now, or should be opened again. */
export function openAnew(tab: Tab): void {
  const file = fileAt.value.get(tab.path);
  const view = file ? viewOf(file) : "text";
  if (view === "text" && tab.text) {
    tab.text.reopen();
    showUser(tab.text);
    return;
  }
  const { id, path } = tab;
  tab.text?.close();
  tabs.value = tabs.value.map((one) => (one.id === id ? { id, path, view, text: null } : one));
}

// --- the address bar ---

const PLAIN = /%(2F|20|3A|40|2C|2B|3D|28|29|21)/gi;

function addressed(): string {
  const hash = location.hash;
  if (!hash.startsWith("#/")) return "";
  try {
    return decodeURIComponent(hash.slice(2));
  } catch {
    return "";
  }
}

/** Open what the address names, as soon as it is known what it is; keep the address as we go. */
export function watchTabs(): void {
  let wanted = addressed();
  effect(() => {
    if (!wanted || !files.value) return;
    const path = wanted;
    wanted = "";
    if (fileAt.peek().has(path)) queueMicrotask(() => open(path));
  });
  addEventListener("hashchange", () => {
    const path = addressed();
    if (path && path !== active.peek()?.path && fileAt.peek().has(path)) open(path);
  });
  effect(() => {
    const path = active.value?.path;
    if (!files.value && !path) return; // the address still tells what to open
    const hash = path
      ? `#/${encodeURIComponent(path).replace(PLAIN, (found) => decodeURIComponent(found).replace(" ", "%20"))}`
      : "";
    if (location.hash !== hash && !wanted) {
      history.replaceState(null, "", location.pathname + location.search + hash);
    }
  });
  effect(() => {
    const file = active.value && shownPath(nameOf(active.value.path));
    const pool = oneLine(status.value?.pool_name ?? "") || "meerkat";
    const news = unread.value ? `(${unread.value}) ` : "";
    document.title = news + (file ? `${file} – ${pool}` : pool);
  });
  effect(() => {
    void ownName.value;
    void ownColor.value;
    for (const tab of tabs.peek()) if (tab.text) showUser(tab.text);
  });
  effect(lookForMoved);
  onOpen(() => {
    for (const tab of tabs.peek()) tab.text?.hurry();
  });
  addEventListener("beforeunload", (event) => {
    if (tabs.peek().some((tab) => tab.text?.unsent)) event.preventDefault();
  });
}
