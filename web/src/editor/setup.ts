// The editor of one live text: CodeMirror bound to its Yjs document.

import { autocompletion, closeBrackets, closeBracketsKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, indentWithTab } from "@codemirror/commands";
import {
  bracketMatching,
  codeFolding,
  foldGutter,
  foldKeymap,
  indentOnInput,
  indentUnit,
  syntaxHighlighting,
} from "@codemirror/language";
import { highlightSelectionMatches, search, searchKeymap } from "@codemirror/search";
import { Compartment, EditorState, type Extension, Transaction } from "@codemirror/state";
import {
  crosshairCursor,
  drawSelection,
  dropCursor,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  keymap,
  lineNumbers,
  rectangularSelection,
} from "@codemirror/view";
import { classHighlighter } from "@lezer/highlight";
import { yCollab, ySyncAnnotation, yUndoManagerKeymap } from "y-codemirror.next";
import type { Awareness } from "y-protocols/awareness";
import * as Y from "yjs";
import { type Caret, othersCursors } from "./cursors";
import { languageOf } from "./languages";
import { readableMarks } from "./marks";

export interface Wishes {
  text: Y.Text;
  awareness: Awareness;
  path: string;
  wrap: boolean;
  onCarets: (carets: readonly Caret[], view: EditorView) => void;
  /** The person did something here: moved, typed, clicked. */
  onDeed: () => void;
  onPlace: (view: EditorView) => void;
}

const wrapping = new Compartment();
const language = new Compartment();
const named = new Compartment();
const UNDO_PAUSE = 500; // ms; typing without a longer pause is undone as a whole
const LARGE = 1_000_000; // characters; beyond it, no syntax and no matches of the selection

/** NUL would make the file binary, and half a character is none. */
const NO_TEXT = /\u0000|\p{Surrogate}/gu;

const fit = (text: string) => text.replace(NO_TEXT, "\ufffd");

/** What is typed or pasted stays a text that every replica can hold. */
const onlyText = EditorState.transactionFilter.of((transaction) => {
  if (!transaction.docChanged || transaction.annotation(ySyncAnnotation)) return transaction;
  let bad = false;
  transaction.changes.iterChanges((_fromA, _toA, _fromB, _toB, inserted) => {
    for (const line of inserted.iter()) bad ||= line.search(NO_TEXT) >= 0;
  });
  if (!bad) return transaction;
  const changes: { from: number; to: number; insert: string }[] = [];
  transaction.changes.iterChanges((from, to, _fromB, _toB, inserted) => {
    changes.push({ from, to, insert: fit(inserted.toString()) });
  });
  return {
    changes,
    selection: transaction.selection,
    annotations: Transaction.userEvent.of(transaction.annotation(Transaction.userEvent) ?? "input"),
    scrollIntoView: true,
  };
});

/** A text of another system is pasted with this text's line ends. */
const pastedLines = EditorView.clipboardInputFilter.of((pasted, state) => {
  const raw = state.doc.lines > 1 && state.doc.line(1).text.endsWith("\r");
  return raw ? pasted : pasted.replace(/\r\n?/g, "\n");
});

/** Make the editor. Its text is the document's, as it is now. */
export function makeEditor(wishes: Wishes): { view: EditorView; undo: Y.UndoManager } {
  const { text, awareness } = wishes;
  const undo = new Y.UndoManager(text, { captureTimeout: UNDO_PAUSE });
  const content = text.toString();
  const small: Extension = content.length < LARGE ? highlightSelectionMatches() : [];
  const state = EditorState.create({
    doc: content,
    extensions: [
      // Measured: with CR as a line end the binding counts otherwise than Yjs, and texts part.
      EditorState.lineSeparator.of("\n"),
      EditorState.allowMultipleSelections.of(true),
      indentUnit.of("    "),
      yCollab(text, null, { undoManager: undo }),
      othersCursors(text, awareness, wishes.onCarets),
      onlyText,
      pastedLines,
      readableMarks,
      lineNumbers(),
      foldGutter({ openText: "⌄", closedText: "›" }),
      codeFolding(),
      highlightActiveLine(),
      highlightActiveLineGutter(),
      drawSelection(),
      dropCursor(),
      rectangularSelection(),
      crosshairCursor(),
      indentOnInput(),
      bracketMatching(),
      closeBrackets(),
      autocompletion({ activateOnTyping: false }),
      search({ top: true }),
      small,
      syntaxHighlighting(classHighlighter),
      wrapping.of(wishes.wrap ? EditorView.lineWrapping : []),
      language.of([]),
      named.of(labelled(wishes.path)),
      keymap.of([
        ...closeBracketsKeymap,
        ...yUndoManagerKeymap,
        ...searchKeymap,
        ...foldKeymap,
        ...defaultKeymap,
        indentWithTab,
      ]),
      // Files that are dropped here are uploaded, as anywhere on the page, not read into the text.
      EditorView.domEventHandlers({ drop: (event) => !!event.dataTransfer?.files.length }),
      EditorView.domEventObservers({
        keydown: () => wishes.onDeed(),
        mousedown: () => wishes.onDeed(),
        wheel: () => wishes.onDeed(),
        touchstart: () => wishes.onDeed(),
      }),
      EditorView.updateListener.of((update) => {
        if (update.selectionSet || update.docChanged) wishes.onPlace(update.view);
      }),
    ],
  });
  const view = new EditorView({ state });
  setLanguage(view, wishes.path);
  return { view, undo };
}

const labelled = (path: string): Extension =>
  EditorView.contentAttributes.of({
    "aria-label": `Text of ${path}`,
    spellcheck: "false",
    tabindex: "0",
  });

/** The file's name tells the language; it may change. */
export function setLanguage(view: EditorView, path: string): void {
  view.dispatch({ effects: named.reconfigure(labelled(path)) });
  const known = languageOf(path);
  if (!known || view.state.doc.length > (known.most ?? LARGE)) {
    view.dispatch({ effects: language.reconfigure([]) });
    return;
  }
  known.load().then(
    (support) => {
      view.dispatch({ effects: language.reconfigure(support) });
    },
    () => undefined, // the process is not there just now: plain text is text too
  );
}

export function setWrap(view: EditorView, wrap: boolean): void {
  view.dispatch({ effects: wrapping.reconfigure(wrap ? EditorView.lineWrapping : []) });
}

/** Go to a place and show it. */
export function goTo(view: EditorView, position: number): void {
  const at = Math.min(position, view.state.doc.length);
  view.dispatch({
    selection: { anchor: at },
    effects: EditorView.scrollIntoView(at, { y: "center" }),
  });
  view.focus();
}

export function look(view: EditorView, position: number): void {
  const at = Math.min(position, view.state.doc.length);
  view.dispatch({ effects: EditorView.scrollIntoView(at, { y: "center" }) });
}
