// The text as it is beside what was typed here and did not arrive. Loaded when it is needed.

import type { EditorView } from "@codemirror/view";
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { Comparison } from "../editor/merge";
import { tellError } from "../model/saying";
import { shownPath } from "../model/shown";
import type { Tab } from "../model/tabs";
import { Icon } from "./icons";
import { copy } from "./notices";

interface Shown {
  tab: Tab;
  mine: string;
  view: () => EditorView | null;
  make: (host: HTMLElement, live: string, mine: string) => Comparison;
}

const shown = signal<Shown | null>(null);

export async function compare(
  tab: Tab,
  mine: string,
  view: () => EditorView | null,
): Promise<void> {
  try {
    const { makeComparison } = await import("../editor/merge");
    shown.value = { tab, mine, view, make: makeComparison };
  } catch (error) {
    tellError(error);
  }
}

export function Compare() {
  const now = shown.value;
  const dialog = useRef<HTMLDialogElement>(null);
  const host = useRef<HTMLDivElement>(null);
  const comparison = useRef<Comparison | null>(null);
  useEffect(() => {
    const editor = now?.view();
    if (!now || !editor || !host.current) return;
    dialog.current?.showModal();
    comparison.current = now.make(host.current, editor.state.doc.toString(), now.mine);
    return () => {
      comparison.current?.destroy();
      comparison.current = null;
    };
  }, [now]);
  if (!now) return null;
  const close = () => {
    shown.value = null;
  };
  return (
    <dialog ref={dialog} class="compare" aria-labelledby="compare-title" onClose={close}>
      <div class="dialog-head">
        <h2 id="compare-title">{shownPath(now.tab.path)}: the text, and yours</h2>
        <button
          type="button"
          class="quiet"
          aria-label="Close"
          onClick={() => dialog.current?.close()}
        >
          <Icon name="close" />
        </button>
      </div>
      <div class="compare-heads" aria-hidden="true">
        <span>The text as it is</span>
        <span>Yours (you can edit it)</span>
      </div>
      <div ref={host} class="compare-host" />
      <div class="dialog-foot">
        <button type="button" onClick={() => void copy(comparison.current?.mine() ?? now.mine)}>
          Copy mine
        </button>
        <button
          type="button"
          class="main"
          onClick={() => {
            const editor = now.view();
            if (editor && comparison.current) comparison.current.apply(editor);
            const { text } = now.tab;
            if (text) text.notice.value = null;
            dialog.current?.close();
          }}
        >
          Make the text like mine
        </button>
      </div>
    </dialog>
  );
}
