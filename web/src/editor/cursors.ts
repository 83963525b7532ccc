// Where the others are in a text, and telling them where we are.
//
// The binding's own layer is not used: it puts the colors that others name into style attributes,
// and its carets stand inside the text's elements, where they disturb an input method. Here they
// are drawn on layers over and under the text, and only where one looks.

import type { Extension } from "@codemirror/state";
import { EditorSelection } from "@codemirror/state";
import {
  type EditorView,
  type LayerMarker,
  layer,
  RectangleMarker,
  ViewPlugin,
} from "@codemirror/view";
import type { Awareness } from "y-protocols/awareness";
import * as Y from "yjs";
import { inkOn, safeColor } from "../model/color";
import { oneLine } from "../model/shown";

export interface Caret {
  client: number;
  anchor: number;
  head: number;
  name: string;
  color: string;
  at: number; // when it last moved (ms, of performance.now)
}

const SHOWN = 4000; // ms that a name stays beside a caret that moved
const MOST = 100; // carets drawn
const LONGEST = 32; // characters of a name beside a caret
const WIDE = 8; // px a character of a name takes, about; a name that would stick out goes to the left
/** A caret alone is not worth a selection's rectangles. */
const NOTHING: readonly LayerMarker[] = [];

class Cursors {
  carets: Caret[] = [];
  private timer = 0;
  private over = false;
  private readonly clock = new Map<number, { spot: string; at: number }>();
  private readonly listener = (change: Record<"added" | "updated" | "removed", number[]>) => {
    const own = this.awareness.clientID;
    const others = (ids: number[]) => ids.some((id) => id !== own);
    if (others(change.added) || others(change.updated) || others(change.removed)) this.refresh();
  };

  constructor(
    private readonly view: EditorView,
    private readonly text: Y.Text,
    private readonly awareness: Awareness,
    private readonly onCarets: (carets: readonly Caret[], view: EditorView) => void,
  ) {
    awareness.on("change", this.listener);
    queueMicrotask(() => this.refresh());
  }

  update(update: { docChanged: boolean; selectionSet: boolean; focusChanged: boolean }): void {
    if (update.docChanged) this.place();
    if (update.docChanged || update.selectionSet || update.focusChanged) this.say();
  }

  destroy(): void {
    this.over = true;
    this.awareness.off("change", this.listener);
    window.clearTimeout(this.timer);
  }

  /** Tell the others where we are: the character that the cursor stands before. */
  private say(): void {
    if (!this.view.hasFocus) return; // the last place stays until we leave the text
    const { anchor, head } = this.view.state.selection.main;
    const now = {
      anchor: Y.createRelativePositionFromTypeIndex(this.text, anchor),
      head: Y.createRelativePositionFromTypeIndex(this.text, head),
    };
    const before = this.awareness.getLocalState()?.cursor as typeof now | null | undefined;
    if (
      before &&
      Y.compareRelativePositions(before.anchor, now.anchor) &&
      Y.compareRelativePositions(before.head, now.head)
    ) {
      return;
    }
    // Under both names that bindings use: y-monaco's is the second.
    this.awareness.setLocalState({
      ...this.awareness.getLocalState(),
      cursor: now,
      selection: now,
    });
  }

  private refresh(): void {
    if (this.over) return;
    this.place();
    this.view.dispatch({}); // the layers look at the carets again
    this.onCarets(this.carets, this.view);
    window.clearTimeout(this.timer);
    // Names fade a while after the last move; the layers must be drawn once more then.
    const latest = Math.max(...this.carets.map((caret) => caret.at), Number.NEGATIVE_INFINITY);
    const rest = latest + SHOWN - performance.now();
    if (rest > 0) this.timer = window.setTimeout(() => this.view.dispatch({}), rest + 20);
  }

  /** Read everyone's state. Anything in it may be missing or nonsense. */
  private place(): void {
    const doc = this.text.doc;
    const length = this.view.state.doc.length;
    const found: Caret[] = [];
    for (const [client, state] of this.awareness.getStates()) {
      if (client === this.awareness.clientID || found.length >= MOST || !doc) continue;
      const cursor = (state.cursor ?? state.selection) as
        | { anchor?: unknown; head?: unknown }
        | null
        | undefined;
      const anchor = absolute(cursor?.anchor, this.text, doc);
      const head = absolute(cursor?.head, this.text, doc);
      if (anchor === null || head === null) continue;
      const user = (state.user ?? {}) as { name?: unknown; color?: unknown };
      const spot = JSON.stringify(cursor);
      const known = this.clock.get(client);
      if (known?.spot !== spot) this.clock.set(client, { spot, at: performance.now() });
      const name = typeof user.name === "string" ? oneLine(user.name) : "";
      found.push({
        client,
        anchor: Math.min(anchor, length),
        head: Math.min(head, length),
        name: [...(name || "someone")].slice(0, LONGEST).join(""),
        color: safeColor(user.color, String(client)),
        at: this.clock.get(client)!.at,
      });
    }
    for (const client of this.clock.keys()) {
      if (!this.awareness.getStates().has(client)) this.clock.delete(client);
    }
    this.carets = found;
  }
}

function absolute(position: unknown, text: Y.Text, doc: Y.Doc): number | null {
  if (!position || typeof position !== "object") return null;
  try {
    const relative = Y.createRelativePositionFromJSON(position);
    const found = Y.createAbsolutePositionFromRelativePosition(relative, doc);
    return found && found.type === text ? found.index : null;
  } catch {
    return null; // it names what is not here, or nothing at all
  }
}

class SelectionMarker implements LayerMarker {
  constructor(
    private readonly shape: RectangleMarker,
    private readonly color: string,
  ) {}
  eq(other: SelectionMarker): boolean {
    return this.color === other.color && this.shape.eq(other.shape);
  }
  draw(): HTMLElement {
    const element = this.shape.draw();
    element.style.backgroundColor = this.color;
    return element;
  }
  update(element: HTMLElement, before: SelectionMarker): boolean {
    element.style.backgroundColor = this.color;
    return this.shape.update(element, before.shape);
  }
}

class CaretMarker implements LayerMarker {
  constructor(
    private readonly caret: Caret,
    private readonly shape: RectangleMarker,
    private readonly named: boolean,
    private readonly toLeft: boolean,
  ) {}
  eq(other: CaretMarker): boolean {
    return (
      this.caret.client === other.caret.client &&
      this.caret.color === other.caret.color &&
      this.caret.name === other.caret.name &&
      this.named === other.named &&
      this.toLeft === other.toLeft &&
      this.shape.eq(other.shape)
    );
  }
  draw(): HTMLElement {
    const element = document.createElement("div");
    const flag = document.createElement("span");
    flag.className = "cm-caret-name";
    element.append(flag);
    this.adjust(element);
    return element;
  }
  update(element: HTMLElement, before: CaretMarker): boolean {
    if (before.caret.client !== this.caret.client) return false;
    this.adjust(element);
    return true;
  }
  private adjust(element: HTMLElement): void {
    element.classList.add("cm-caret");
    element.classList.toggle("cm-caret-named", this.named);
    element.classList.toggle("cm-caret-left", this.toLeft);
    element.style.left = `${this.shape.left}px`;
    element.style.top = `${this.shape.top}px`;
    element.style.height = `${this.shape.height}px`;
    element.style.backgroundColor = this.caret.color;
    const flag = element.firstElementChild as HTMLElement;
    flag.style.backgroundColor = this.caret.color;
    flag.style.color = inkOn(this.caret.color);
    if (flag.textContent !== this.caret.name) flag.textContent = this.caret.name;
  }
}

/** The extension for one text. `onCarets` hears of every move of the others. */
export function othersCursors(
  text: Y.Text,
  awareness: Awareness,
  onCarets: (carets: readonly Caret[], view: EditorView) => void,
): Extension {
  const plugin = ViewPlugin.define((view) => new Cursors(view, text, awareness, onCarets));
  const of = (view: EditorView) => view.plugin(plugin)?.carets ?? [];
  const inSight = (view: EditorView, from: number, to: number) =>
    to >= view.viewport.from && from <= view.viewport.to;
  return [
    plugin,
    layer({
      above: false,
      class: "cm-others-selections",
      update: () => true,
      markers: (view) =>
        of(view).flatMap((caret) => {
          const from = Math.min(caret.anchor, caret.head);
          const to = Math.max(caret.anchor, caret.head);
          if (from === to || !inSight(view, from, to)) return NOTHING;
          const range = EditorSelection.range(
            Math.max(from, view.viewport.from),
            Math.min(to, view.viewport.to),
          );
          return RectangleMarker.forRange(view, "cm-others-selection", range).map(
            (shape) => new SelectionMarker(shape, `${caret.color}38`),
          );
        }),
    }),
    layer({
      above: true,
      class: "cm-others-carets",
      update: () => true,
      markers: (view) => {
        const since = performance.now() - SHOWN;
        return of(view).flatMap((caret) => {
          if (!inSight(view, caret.head, caret.head)) return NOTHING;
          const at = EditorSelection.cursor(caret.head, caret.head < caret.anchor ? 1 : -1);
          const room = view.scrollDOM.clientWidth - caret.name.length * WIDE - 2 * WIDE;
          return RectangleMarker.forRange(view, "", at).map(
            (shape) => new CaretMarker(caret, shape, caret.at > since, shape.left > room),
          );
        });
      },
    }),
  ];
}

/** We are not in this text any more, though it stays open. */
export function leaveText(awareness: Awareness): void {
  const state = awareness.getLocalState();
  if (state?.cursor) awareness.setLocalState({ ...state, cursor: null, selection: null });
}
