// Two versions of a text side by side, and how to make one like the other with few edits.

import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { diff, MergeView } from "@codemirror/merge";
import { EditorState } from "@codemirror/state";
import { EditorView, keymap, lineNumbers } from "@codemirror/view";
import { readableMarks } from "./marks";

export interface Comparison {
  /** The person's side, as it is now. */
  mine: () => string;
  /** Make a live text like it, by edits as small as possible: cursors of others stay. */
  apply: (view: EditorView) => void;
  destroy: () => void;
}

const EFFORT = 500; // of the comparison; beyond it the edits get coarser
const PATIENCE = 400; // ms

export function makeComparison(host: HTMLElement, live: string, mine: string): Comparison {
  const common = [
    EditorState.lineSeparator.of("\n"),
    EditorView.lineWrapping,
    lineNumbers(),
    readableMarks,
  ];
  const merge = new MergeView({
    parent: host,
    a: { doc: live, extensions: [...common, EditorState.readOnly.of(true), named("The text")] },
    b: {
      doc: mine,
      extensions: [
        ...common,
        history(),
        keymap.of([...historyKeymap, ...defaultKeymap]),
        named("Your version"),
      ],
    },
    revertControls: "a-to-b",
    collapseUnchanged: { margin: 3, minSize: 6 },
    gutter: true,
  });
  return {
    mine: () => merge.b.state.doc.toString(),
    apply: (view) => {
      const target = merge.b.state.doc.toString();
      const now = view.state.doc.toString();
      const changes = diff(now, target, { scanLimit: EFFORT, timeout: PATIENCE });
      view.dispatch({
        changes: changes.map((one) => ({
          from: one.fromA,
          to: one.toA,
          insert: target.slice(one.fromB, one.toB),
        })),
        userEvent: "input.merge",
      });
    },
    destroy: () => merge.destroy(),
  };
}

const named = (label: string) => EditorView.contentAttributes.of({ "aria-label": label });
