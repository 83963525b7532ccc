// A new row: a field for each column; those left empty get what the database gives them.

import { signal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { guess, type Kind, parse, type Value } from "../model/cells";
import type { ColumnFacts, DatabaseView, TableFacts } from "../model/database";
import { shownPath } from "../model/shown";
import { KINDS } from "./cell_editor";
import { Icon } from "./icons";

class Field {
  readonly text = signal("");
  readonly kind = signal<Kind | "">("");

  constructor(readonly column: ColumnFacts) {}

  /** Whether the person said something about it. */
  get given(): boolean {
    return this.text.value !== "" || this.kind.value !== "";
  }

  get value(): Value | undefined {
    return parse(this.text.value, this.kind.value || guess(this.text.value, this.column.type));
  }
}

interface Props {
  view: DatabaseView;
  table: TableFacts;
  done: () => void;
}

export function RowForm({ view, table, done }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const fields = useRef(
    table.columns.filter((one) => !one.generated).map((one) => new Field(one)),
  ).current;
  const state = useRef({ problem: signal(""), busy: signal(false) }).current;
  useLayoutEffect(() => {
    dialog.current?.showModal();
  }, []);
  const submit = async () => {
    const given = fields.filter((one) => one.given);
    const wrong = given.find((one) => one.value === undefined);
    if (wrong) {
      state.problem.value = `${shownPath(wrong.column.name)} is not a number.`;
      return;
    }
    state.busy.value = true;
    state.problem.value = "";
    try {
      await view.insert(Object.fromEntries(given.map((one) => [one.column.name, one.value!])));
      dialog.current?.close();
    } catch (error) {
      state.problem.value = error instanceof Error ? error.message : String(error);
    } finally {
      state.busy.value = false;
    }
  };
  return (
    <dialog ref={dialog} class="box" aria-labelledby="row-title" onClose={done}>
      <form
        class="box-inner row-form"
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <div class="dialog-head">
          <h2 id="row-title">New row in {shownPath(table.name)}</h2>
          <button
            type="button"
            class="quiet"
            aria-label="Close"
            onClick={() => dialog.current?.close()}
          >
            <Icon name="close" />
          </button>
        </div>
        <div class="row-fields">
          {fields.map((field) => (
            <OneField key={field.column.name} field={field} />
          ))}
        </div>
        {state.problem.value && (
          <p class="wrong" role="alert">
            {state.problem.value}
          </p>
        )}
        <div class="dialog-foot">
          <button type="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="submit" class="main" disabled={state.busy.value}>
            Add row
          </button>
        </div>
      </form>
    </dialog>
  );
}

function OneField({ field }: { field: Field }) {
  const { column } = field;
  const kind = field.kind.value || (field.given ? guess(field.text.value, column.type) : "");
  return (
    <div class="row-field">
      <label>
        <span>
          {shownPath(column.name)} <span class="faint">{shownPath(column.type).toLowerCase()}</span>
        </span>
        <input
          type="text"
          autocomplete="off"
          value={field.text.value}
          placeholder={hint(column)}
          disabled={field.kind.value === "null"}
          onInput={(event) => {
            field.text.value = event.currentTarget.value;
          }}
        />
      </label>
      <select
        aria-label={`Kind of ${shownPath(column.name)}`}
        value={kind}
        onChange={(event) => {
          field.kind.value = event.currentTarget.value as Kind | "";
        }}
      >
        <option value="">as given</option>
        {KINDS.map((one) => (
          <option key={one} value={one}>
            {one === "null" ? "NULL" : one}
          </option>
        ))}
      </select>
    </div>
  );
}

function hint(column: ColumnFacts): string {
  if (column.default !== null) return shownPath(column.default);
  if (column.key && column.type.toUpperCase() === "INTEGER") return "given by the database";
  return column.not_null ? "" : "NULL";
}
