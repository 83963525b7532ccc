// A database in front: its tables as tabs, the rows of one of them, what is set aside.

import { signal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { typed } from "../model/cells";
import { type ConflictFacts, DatabaseView, type ShownRows } from "../model/database";
import { fileAt, files } from "../model/pool";
import { count, oneLine, shownPath } from "../model/shown";
import { openAnew, type Tab } from "../model/tabs";
import { Grid, selection } from "./grid";
import { Icon } from "./icons";
import { removeRow } from "./row_deeds";
import { RowForm } from "./row_form";

const views = new Map<number, DatabaseView>();
const showsConflicts = signal(false);
const addsRow = signal(false);

function viewFor(tab: Tab): DatabaseView {
  let view = views.get(tab.id);
  if (!view) {
    view = new DatabaseView(tab.path);
    views.set(tab.id, view);
  } else if (view.path !== tab.path) {
    view.path = tab.path;
    void view.begin();
  }
  return view;
}

/** A tab was closed. */
export function dropDatabases(open: readonly Tab[]): void {
  const ids = new Set(open.filter((tab) => tab.view === "database").map((tab) => tab.id));
  for (const [id, view] of views) {
    if (!ids.has(id)) {
      view.close();
      views.delete(id);
    }
  }
}

export function DatabasePane({ tab }: { tab: Tab }) {
  const view = viewFor(tab);
  const file = fileAt.value.get(tab.path);
  const shown = view.shown.value;
  const tables = view.tables.value;
  const gone = files.value !== null && file?.kind !== "database";
  return (
    <div class="pane database">
      {gone && (
        <div class="banner bad" role="alert">
          <Icon name="warning" />
          <p>{file ? "It is an ordinary file now." : "It is not here any more."}</p>
          {file && (
            <button type="button" onClick={() => openAnew(tab)}>
              Open it so
            </button>
          )}
        </div>
      )}
      {!gone && view.problem.value && (
        <div class="banner bad" role="alert">
          <Icon name="warning" />
          <p>{oneLine(view.problem.value)}</p>
          <button type="button" onClick={() => void view.begin()}>
            Try again
          </button>
        </div>
      )}
      {!gone && !view.problem.value && file?.problem && (
        <div class="banner bad" role="status">
          <Icon name="warning" />
          <p>{oneLine(file.problem)}</p>
        </div>
      )}
      <Conflicts view={view} />
      {tables && tables.length > 0 && <Tables view={view} />}
      {tables?.length === 0 && (
        <p class="empty">No tables yet. A program, or `meerkat db exec`, can create some.</p>
      )}
      {shown && (
        <>
          <Grid key={shown.table.name} view={view} shown={shown} />
          <Bar view={view} />
        </>
      )}
      {addsRow.value && shown && (
        <RowForm
          view={view}
          table={shown.table}
          done={() => {
            addsRow.value = false;
          }}
        />
      )}
    </div>
  );
}

function Tables({ view }: { view: DatabaseView }) {
  const box = useRef<HTMLDivElement>(null);
  const list = view.tables.value ?? [];
  const now = view.table.value;
  const step = (by: number) => {
    const at = list.findIndex((one) => one.name === now);
    const next = list[(at + by + list.length) % list.length];
    if (!next) return;
    void view.show(next.name).then(() => {
      box.current?.querySelector<HTMLElement>("[aria-selected=true]")?.focus();
    });
  };
  return (
    <div ref={box} class="table-tabs" role="tablist" aria-label="Tables">
      {list.map((one) => (
        <button
          key={one.name}
          type="button"
          role="tab"
          aria-selected={one.name === now}
          aria-controls="rows"
          tabIndex={one.name === now ? 0 : -1}
          onClick={() => void view.show(one.name)}
          onKeyDown={(event) => {
            if (event.key === "ArrowRight") step(1);
            else if (event.key === "ArrowLeft") step(-1);
            else return;
            event.preventDefault();
          }}
        >
          <span class="name">{shownPath(one.name)}</span>
          {one.kind !== "table" && <span class="faint">{one.kind}</span>}
        </button>
      ))}
    </div>
  );
}

/** Below the rows: what can be done with them, and where one is among them. */
function Bar({ view }: { view: DatabaseView }) {
  const shown = view.shown.value;
  if (!shown) return null;
  const { table, earlier, later } = shown;
  const chosen = selection.value?.view === view ? selection.value.key : null;
  return (
    <div class="table-bar" role="toolbar" aria-label="Rows">
      {table.editable ? (
        <>
          <button
            type="button"
            onClick={() => {
              addsRow.value = true;
            }}
          >
            <Icon name="plus" size={14} /> Add row
          </button>
          <button
            type="button"
            disabled={!chosen}
            onClick={() => chosen && void removeRow(view, chosen)}
          >
            Delete row
          </button>
        </>
      ) : (
        <span class="faint">
          {table.kind === "view" ? "A view: change the tables that it shows." : "Read only."}
        </span>
      )}
      {table.hidden_columns > 0 && (
        <span class="faint only-wide">{count(table.hidden_columns, "more column")}</span>
      )}
      <span class="grow" />
      <button
        type="button"
        class="quiet"
        aria-label="First rows"
        disabled={!earlier}
        onClick={() => void view.show(table.name)}
      >
        <Icon name="first" />
      </button>
      <button
        type="button"
        class="quiet"
        aria-label="Previous rows"
        disabled={!earlier}
        onClick={() => void view.previous()}
      >
        <span class="turned">
          <Icon name="chevron" />
        </span>
      </button>
      <span class="faint" role="status">
        {placeOf(shown)}
      </span>
      <button
        type="button"
        class="quiet"
        aria-label="Next rows"
        disabled={!later}
        onClick={() => void view.next()}
      >
        <Icon name="chevron" />
      </button>
      <button
        type="button"
        class="quiet"
        aria-label="Last rows"
        disabled={!later}
        onClick={() => void view.last()}
      >
        <span class="turned">
          <Icon name="first" />
        </span>
      </button>
    </div>
  );
}

function placeOf({ rows, first, count: all, later }: ShownRows): string {
  if (!rows.length) return "No rows";
  const of = all === null ? "very many rows" : count(all, "row");
  if (first === null) {
    return later ? `${count(rows.length, "row")} of ${of}` : `the last ${rows.length} of ${of}`;
  }
  const number = (value: number) => value.toLocaleString("en");
  return `${number(first + 1)}–${number(first + rows.length)} of ${of}`;
}

function Conflicts({ view }: { view: DatabaseView }) {
  const found = view.conflicts.value;
  if (!found.length) return null;
  const open = showsConflicts.value;
  const them = found.length === 1 ? "it" : "them";
  return (
    <section class="aside-rows" aria-label="Rows that are set aside">
      <div class="banner bad" role="status">
        <Icon name="conflict" />
        <p>
          {count(found.length, "row")} {found.length === 1 ? "is" : "are"} set aside, whole: a
          constraint keeps {them} out. Change or delete what stands in the way.
        </p>
        <button
          type="button"
          aria-expanded={open}
          onClick={() => {
            showsConflicts.value = !open;
          }}
        >
          {open ? "Hide" : "Show"}
        </button>
      </div>
      {open && (
        <ul class="aside-list">
          {found.map((one) => (
            <Conflict key={one.table + one.row} one={one} />
          ))}
        </ul>
      )}
    </section>
  );
}

function Conflict({ one }: { one: ConflictFacts }) {
  const when = one.wall_ms ? new Date(one.wall_ms).toLocaleString() : "";
  return (
    <li>
      <p>
        <b>{shownPath(one.table)}</b>: {oneLine(one.reason)}{" "}
        <span class="faint">{[oneLine(one.name), when].filter(Boolean).join(", ")}</span>
      </p>
      <dl>
        {Object.entries(one.values).map(([column, value]) => (
          <div key={column}>
            <dt>{shownPath(column)}</dt>
            <dd class={value === null ? "faint" : ""}>
              {value === null ? "NULL" : oneLine(typed(value)) || "…"}
            </dd>
          </div>
        ))}
      </dl>
    </li>
  );
}
