// One cell being edited: what is typed, and as what it is kept. The kind stays what it was.

import { useSignal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { guess, type Kind, kindOf, parse, typed, type Value } from "../model/cells";
import type { ColumnFacts } from "../model/database";
import { shownPath } from "../model/shown";

export const KINDS: Kind[] = ["text", "integer", "real", "null"];

interface Props {
  value: Value;
  /** What was typed to begin with, instead of what is there. */
  first: string;
  column: ColumnFacts;
  /** The new value, or undefined for none; and how many cells to go on to the right. */
  done: (value: Value | undefined, by: number) => void;
}

export function CellEditor({ value, first, column, done }: Props) {
  const field = useRef<HTMLTextAreaElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const text = useSignal(first || typed(value));
  const was = kindOf(value);
  const kind = useSignal<Kind | "">(was === "null" || was === "blob" ? "" : was);
  const over = useRef(false);
  const now = kind.value || guess(text.value, column.type);
  const found = parse(text.value, now);

  useLayoutEffect(() => {
    const element = field.current;
    element?.focus();
    if (first) element?.setSelectionRange(first.length, first.length);
    else element?.select();
  }, []);

  const finish = (keep: boolean, by = 0) => {
    if (over.current) return;
    if (keep && found === undefined) {
      field.current?.focus();
      return;
    }
    over.current = true;
    const same = kindOf(value) === now && typed(value) === text.value;
    const untouched = was === "null" && !text.value && !kind.value;
    done(keep && !same && !untouched ? found : undefined, by);
  };

  return (
    <div
      ref={box}
      class="cell-editor"
      role="group"
      aria-label={shownPath(column.name)}
      onFocusOut={(event) => {
        if (!box.current?.contains(event.relatedTarget as Node | null)) {
          finish(found !== undefined);
        }
      }}
      onKeyDown={(event) => {
        event.stopPropagation();
        if (event.key === "Escape") finish(false);
        else if (event.key === "Tab" && event.target === field.current)
          finish(true, event.shiftKey ? -1 : 1);
        else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) finish(true);
        else return;
        event.preventDefault();
      }}
    >
      <textarea
        ref={field}
        rows={Math.min(8, text.value.split("\n").length)}
        aria-label={`New value of ${shownPath(column.name)}`}
        aria-invalid={found === undefined}
        value={text.value}
        disabled={now === "null" && kind.value === "null"}
        onInput={(event) => {
          text.value = event.currentTarget.value;
        }}
      />
      <select
        aria-label="Kind of value"
        value={now}
        onChange={(event) => {
          kind.value = event.currentTarget.value as Kind;
          field.current?.focus();
        }}
      >
        {KINDS.map((one) => (
          <option key={one} value={one}>
            {one === "null" ? "NULL" : one}
          </option>
        ))}
      </select>
      {found === undefined && (
        <span class="wrong" role="alert">
          {now === "real" ? "Not a number" : "Not a whole number of 64 bits"}
        </span>
      )}
    </div>
  );
}
