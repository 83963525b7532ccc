// The rows of a table, as a grid: one cell has the focus, arrows move it, Enter edits it.

import { signal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { keyText, kindOf, typed, type Value } from "../model/cells";
import type { ColumnFacts, DatabaseView, RowFacts, ShownRows } from "../model/database";
import { tellError } from "../model/saying";
import { oneLine, shownPath, size, span } from "../model/shown";
import { CellEditor } from "./cell_editor";
import { Icon } from "./icons";
import { openMenu } from "./menu";
import { copy } from "./notices";
import { removeRow } from "./row_deeds";

/** The cell that is chosen, by its row's key and its column's number. */
export const selection = signal<{ view: DatabaseView; key: Value[]; column: number } | null>(null);
/** The cell that is edited: its whole value, and what was typed to begin with. */
const edited = signal<{ key: string; column: number; value: Value; first: string } | null>(null);

const ASK_AFTER = 250; // ms that a cell has the focus or the pointer before its history is asked for
const PAGE = 20; // rows that PageUp and PageDown go

interface Props {
  view: DatabaseView;
  shown: ShownRows;
}

export function Grid({ view, shown }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const { table, rows } = shown;
  const chosen = selection.value?.view === view ? selection.value : null;
  const chosenKey = chosen && keyText(chosen.key);
  const at = rows.findIndex((row) => keyText(row.key) === chosenKey);
  const here = { row: Math.max(0, at), column: chosen?.column ?? 0 };

  const go = (row: number, column: number) => {
    const to = rows[Math.max(0, Math.min(rows.length - 1, row))];
    if (!to) return;
    const last = table.columns.length - 1;
    selection.value = { view, key: to.key, column: Math.max(0, Math.min(last, column)) };
    focusNext.current = true;
  };
  const focusNext = useRef(false);
  useLayoutEffect(() => {
    if (!focusNext.current || edited.value) return;
    focusNext.current = false;
    const cell = host.current?.querySelector<HTMLElement>("[role=gridcell][tabindex='0']");
    cell?.focus();
    cell?.scrollIntoView({ block: "nearest", inline: "nearest" });
  });

  const edit = async (row: RowFacts, column: number, first = "") => {
    const facts = table.columns[column];
    if (!facts || !table.editable || facts.generated) return;
    let value = row.cells[column] ?? null;
    if ((kindOf(value) === "blob" || isRaw(value)) && !first) return;
    try {
      if (isCut(value)) value = await view.whole(row.key, facts.name);
    } catch (error) {
      tellError(error);
      return;
    }
    edited.value = { key: keyText(row.key), column, value, first };
  };
  const write = (row: RowFacts, column: number, value: Value) => {
    const facts = table.columns[column];
    if (facts) void view.setCell(row.key, facts.name, value).catch(tellError);
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (edited.value || event.altKey) return;
    const row = rows[here.row];
    const mod = event.ctrlKey || event.metaKey;
    if (mod && event.key.toLowerCase() === "c" && row) {
      void copy(typed(row.cells[here.column] ?? null));
    } else if (event.key === "ArrowDown") go(here.row + 1, here.column);
    else if (event.key === "ArrowUp") go(here.row - 1, here.column);
    else if (event.key === "ArrowRight") go(here.row, here.column + 1);
    else if (event.key === "ArrowLeft") go(here.row, here.column - 1);
    else if (event.key === "Home") go(mod ? 0 : here.row, 0);
    else if (event.key === "End") go(mod ? rows.length : here.row, table.columns.length);
    else if (event.key === "PageDown") go(here.row + PAGE, here.column);
    else if (event.key === "PageUp") go(here.row - PAGE, here.column);
    else if ((event.key === "Enter" || event.key === "F2") && row) void edit(row, here.column);
    else if (event.key === "Delete" && row && table.editable) void removeRow(view, row.key);
    else if (!mod && event.key.length === 1 && row) void edit(row, here.column, event.key);
    else return;
    event.preventDefault();
  };

  const menuFor = (row: RowFacts, column: number, x: number, y: number, back: HTMLElement) => {
    selection.value = { view, key: row.key, column };
    const facts = table.columns[column];
    const editable = table.editable && facts && !facts.generated;
    openMenu(
      x,
      y,
      [
        { label: "Copy", keys: "Ctrl C", run: () => void copy(typed(row.cells[column] ?? null)) },
        ...(editable
          ? [
              { label: "Edit", keys: "Enter", run: () => void edit(row, column) },
              { label: "Set to NULL", run: () => write(row, column, null) },
            ]
          : []),
        ...(table.editable
          ? [
              {
                label: "Delete row",
                keys: "Delete",
                danger: true,
                run: () => void removeRow(view, row.key),
              },
            ]
          : []),
      ],
      back,
    );
  };

  return (
    <>
      <div
        ref={host}
        id="rows"
        class="grid"
        role="tabpanel"
        aria-label={shownPath(table.name)}
        onKeyDown={onKeyDown}
      >
        <table
          role="grid"
          aria-rowcount={shown.count === null ? -1 : shown.count + 1}
          aria-colcount={table.columns.length}
        >
          <thead>
            <tr aria-rowindex={1}>
              {table.columns.map((column) => (
                <Head key={column.name} column={column} />
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row, index) => {
              const key = table.editable ? keyText(row.key) : `${(shown.first ?? 0) + index}`;
              return (
                <tr
                  key={key}
                  aria-rowindex={(shown.first ?? 0) + index + 2}
                  class={at === index ? "here" : ""}
                >
                  {table.columns.map((column, number) => (
                    <Cell
                      key={column.name}
                      view={view}
                      row={row}
                      rowText={key}
                      column={column}
                      number={number}
                      focused={index === here.row && number === here.column}
                      chosen={at === index && number === here.column}
                      onChoose={() => go(index, number)}
                      onEdit={() => void edit(row, number)}
                      onMenu={(x, y, back) => menuFor(row, number, x, y, back)}
                      onDone={(value, by) => {
                        edited.value = null;
                        if (value !== undefined) write(row, number, value);
                        go(index, number + by);
                      }}
                    />
                  ))}
                </tr>
              );
            })}
          </tbody>
        </table>
        {rows.length === 0 && <p class="empty">No rows here.</p>}
      </div>
      <Written view={view} shown={shown} at={at} />
    </>
  );
}

function Head({ column }: { column: ColumnFacts }) {
  const words = [column.type, column.not_null && "NOT NULL", column.generated && "generated"]
    .filter(Boolean)
    .join(" ");
  return (
    <th scope="col" title={shownPath(`${column.name} ${words}`.trim())}>
      {column.key > 0 && (
        <>
          <Icon name="key" size={12} />
          <span class="hidden">Key </span>
        </>
      )}
      {shownPath(column.name)} <span class="faint">{shownPath(words).toLowerCase()}</span>
    </th>
  );
}

interface CellProps {
  view: DatabaseView;
  row: RowFacts;
  rowText: string;
  column: ColumnFacts;
  number: number;
  focused: boolean;
  chosen: boolean;
  onChoose: () => void;
  onEdit: () => void;
  onMenu: (x: number, y: number, back: HTMLElement) => void;
  onDone: (value: Value | undefined, by: number) => void;
}

function Cell(props: CellProps) {
  const { view, row, rowText, column, number } = props;
  const value = row.cells[number] ?? null;
  const kind = kindOf(value);
  const who = view.glowing.value.get(`${rowText} ${number}`);
  const now = edited.value;
  const editing = now?.key === rowText && now.column === number;
  const touched = useRef(false); // by a finger, in the cell that was chosen before
  const numeric = kind === "integer" || kind === "real";
  const names = [
    `cell ${kind}`,
    numeric && "number",
    props.chosen && "chosen",
    who !== undefined && "glowing",
    column.generated && "generated",
  ];
  return (
    <td
      role="gridcell"
      class={names.filter(Boolean).join(" ")}
      tabIndex={props.focused ? 0 : -1}
      aria-selected={props.chosen}
      title={who ? `${who}, just now` : undefined}
      onPointerDown={(event) => {
        touched.current = props.chosen && event.pointerType === "touch";
      }}
      onClick={() => {
        if (editing) return;
        if (touched.current) props.onEdit();
        else props.onChoose();
      }}
      onDblClick={() => {
        if (!editing) props.onEdit();
      }}
      onFocus={(event) => {
        if (event.target === event.currentTarget && !props.chosen) {
          selection.value = { view, key: row.key, column: number };
        }
      }}
      onContextMenu={(event) => {
        if (editing) return;
        event.preventDefault();
        const box = event.currentTarget.getBoundingClientRect();
        const byKey = event.clientX === 0 && event.clientY === 0;
        props.onMenu(
          byKey ? box.left : event.clientX,
          byKey ? box.bottom : event.clientY,
          event.currentTarget,
        );
      }}
    >
      {editing && now ? (
        <CellEditor
          value={now.value}
          first={now.first}
          column={column}
          done={(result, by) => props.onDone(result, by)}
        />
      ) : (
        <Shown value={value} />
      )}
    </td>
  );
}

function Shown({ value }: { value: Value }) {
  if (value === null) return <span class="faint">NULL</span>;
  if (typeof value === "object" && "bytes" in value) {
    return <span class="faint">blob, {size(value.bytes)}</span>;
  }
  if (typeof value === "object" && "raw_text" in value) {
    return <span class="faint">text, not UTF-8</span>;
  }
  const text = typed(value);
  return (
    <>
      {shownPath(text.replace(/\s+/g, " "))}
      {isCut(value) && <span class="faint">…</span>}
    </>
  );
}

function isRaw(value: Value): boolean {
  return typeof value === "object" && value !== null && "raw_text" in value;
}

function isCut(value: Value): boolean {
  return typeof value === "object" && value !== null && "start" in value;
}

/** Who wrote the chosen cell: a line below the rows, read out when it changes. */
function Written({ view, shown, at }: Props & { at: number }) {
  const words = useRef(signal("")).current;
  const column = selection.value?.column ?? 0;
  const row = shown.rows[at];
  const name = shown.table.columns[column]?.name ?? "";
  const key = row && keyText(row.key);
  const cell = row && JSON.stringify(row.cells[column]);
  useEffect(() => {
    words.value = "";
    if (!row || !shown.table.editable) return;
    let stopped = false;
    const timer = window.setTimeout(() => {
      view.written(row.key).then(
        (cells) => {
          const found = cells.find((one) => one.column === name);
          if (stopped || !found) return;
          words.value = found.wall_ms
            ? `${oneLine(found.name)}, ${ago(found.wall_ms)}`
            : "as it was first shared";
        },
        () => undefined,
      );
    }, ASK_AFTER);
    return () => {
      stopped = true;
      window.clearTimeout(timer);
    };
  }, [key, cell, column]);
  return (
    <p class={words.value ? "written" : "hidden"} role="status">
      {row && words.value && (
        <>
          <b>{shownPath(name)}</b>: {words.value}
        </>
      )}
    </p>
  );
}

const WEEK = 7 * 86_400;

function ago(wallMs: number): string {
  const seconds = (Date.now() - wallMs) / 1000;
  if (seconds < 0 || seconds > WEEK) return new Date(wallMs).toLocaleString();
  return seconds < 5 ? "just now" : `${span(seconds)} ago`;
}
