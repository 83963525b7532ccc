// The editor of the text in front. Editors of other open texts stay as they are, out of sight.

import type { EditorView } from "@codemirror/view";
import { signal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import type * as Y from "yjs";
import { leaveText } from "../editor/cursors";
import { makeEditor, setLanguage, setWrap } from "../editor/setup";
import { following, onCarets, onShown, stopFollowing } from "../model/following";
import { phone, wrap } from "../model/settings";
import type { Tab } from "../model/tabs";
import { Notices } from "./notices";

/** Where the cursor is in the text in front. */
export const spot = signal<{ line: number; column: number; chosen: number } | null>(null);

interface Kept {
  view: EditorView;
  text: Y.Text;
  path: string;
  wrap: boolean;
}

const LONG = 10_000; // beyond it, a column is counted in UTF-16 units: characters take too long
const editors = new Map<number, Kept>();

/** The editor in front, for commands. */
export function editorOf(tab: Tab | null): EditorView | null {
  return (tab && editors.get(tab.id)?.view) ?? null;
}

/** A tab was closed. */
export function dropEditors(open: readonly Tab[]): void {
  const ids = new Set(open.filter((tab) => tab.text).map((tab) => tab.id));
  for (const [id, kept] of editors) {
    if (!ids.has(id)) {
      kept.view.destroy();
      editors.delete(id);
    }
  }
}

function place(view: EditorView): void {
  const { main } = view.state.selection;
  const line = view.state.doc.lineAt(main.head);
  const chosen = view.state.selection.ranges.reduce((sum, one) => sum + one.to - one.from, 0);
  const before = main.head - line.from;
  const units = before > LONG ? before : [...line.text.slice(0, before)].length;
  spot.value = { line: line.number, column: units + 1, chosen };
}

/** The editor for what the tab shows now; a fresh document gets a fresh one, at the same place. */
function editorFor(tab: Tab, text: Y.Text): Kept {
  const before = editors.get(tab.id);
  if (before?.text === text) return before;
  const live = tab.text!;
  const made = makeEditor({
    text,
    awareness: live.provider.awareness,
    path: tab.path,
    wrap: wrap.peek(),
    onCarets: (carets, view) => onCarets(carets, view, live.path),
    onDeed: () => {
      if (following.peek()) stopFollowing();
    },
    onPlace: place,
  });
  const kept = { view: made.view, text, path: tab.path, wrap: wrap.peek() };
  if (before) {
    const length = made.view.state.doc.length;
    const { anchor, head } = before.view.state.selection.main;
    made.view.dispatch({
      selection: { anchor: Math.min(anchor, length), head: Math.min(head, length) },
      scrollIntoView: true,
    });
    before.view.destroy();
  }
  editors.set(tab.id, kept);
  return kept;
}

export function EditorPane({ tab }: { tab: Tab }) {
  const host = useRef<HTMLDivElement>(null);
  const came = useRef(document.activeElement); // from where the person opened it
  const live = tab.text!;
  const text = live.shown.value;
  const state = live.state.value;
  const soft = wrap.value;

  useLayoutEffect(() => {
    if (!text || !host.current) return;
    const kept = editorFor(tab, text);
    const { view } = kept;
    host.current.replaceChildren(view.dom);
    view.requestMeasure();
    place(view);
    if (!phone.peek() && mayTakeFocus(came.current)) view.focus();
    onShown(view, tab.path);
    const { awareness } = live.provider;
    return () => {
      leaveText(awareness);
      spot.value = null;
    };
  }, [text, tab.id]);

  useEffect(() => {
    const kept = editors.get(tab.id);
    if (!kept) return;
    if (kept.path !== tab.path) {
      kept.path = tab.path;
      setLanguage(kept.view, tab.path);
    }
    if (kept.wrap !== soft) {
      kept.wrap = soft;
      setWrap(kept.view, soft);
    }
  }, [tab.path, tab.id, soft, text]);

  return (
    <div class="pane">
      <Notices tab={tab} view={() => editorOf(tab)} />
      {!text && state !== "over" && <Opening />}
      <div ref={host} class="editor" hidden={!text} data-state={state} />
    </div>
  );
}

/** A text that comes late must not take the focus from where the person has gone meanwhile. */
function mayTakeFocus(came: Element | null): boolean {
  const now = document.activeElement;
  if (now instanceof HTMLTextAreaElement || now instanceof HTMLInputElement) return false;
  return (now === came || now === document.body) && !document.querySelector("dialog[open]");
}

function Opening() {
  return (
    <div class="opening" aria-busy="true">
      {[42, 66, 30, 0, 72, 58, 64, 20, 0, 48].map((width, i) => (
        <div key={i} class="ghost" style={{ width: `${width}%` }} />
      ))}
    </div>
  );
}
