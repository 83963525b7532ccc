// One open database: its tables, the page of rows that is shown, what changes in it, and edits.
//
// No SQL is made here: the folder's process is asked for rows and told what to write, by the names
// and keys that it gave. A change that is heard of is a reason to ask for the page of rows again.

import { batch, signal } from "@preact/signals";
import { keyText, type Value } from "./cells";
import { ask, link, onEvent, onOpen } from "./control";
import { Fresh } from "./fresh";
import { oneLine } from "./shown";

export interface TableName {
  name: string;
  kind: "table" | "virtual" | "view";
}

export interface ColumnFacts {
  name: string;
  type: string;
  not_null: boolean;
  default: string | null;
  key: number;
  generated: boolean;
}

export interface TableFacts extends TableName {
  editable: boolean;
  columns: ColumnFacts[];
  hidden_columns: number;
}

export interface RowFacts {
  key: Value[];
  cells: Value[];
}

interface Page {
  table: TableFacts;
  rows: RowFacts[];
  more: boolean;
  /** null: too many to count. */
  count: number | null;
}

/** The page of rows that is shown, and whether there are others. */
export interface ShownRows extends Page {
  /** How many rows come before it, about; null: nobody knows. */
  first: number | null;
  earlier: boolean;
  later: boolean;
}

export interface ConflictFacts {
  table: string;
  row: string;
  values: Record<string, Value>;
  reason: string;
  name: string;
  wall_ms: number;
}

export interface WrittenFacts {
  column: string;
  name: string;
  wall_ms: number;
}

interface ChangeFacts {
  table: string;
  operation: string;
  key: Value[];
  name: string;
}

/** Where a page of rows begins or ends. */
interface Place {
  at?: Value[];
  after?: Value[];
  before?: Value[];
  end?: boolean;
  offset?: number;
}

const PAGE_ROWS = 100;
const LOOK_EVERY = 5000; // ms between looks at conflicts: not every one changes a row that is shown
const GLOWS = 2500; // ms that a changed cell is marked
const ROWS_EVERY = 80; // ms between two readings of the page of rows
let lastWatch = 0;

export class DatabaseView {
  readonly tables = signal<TableName[] | null>(null);
  /** The table that is shown; "" until there is one. */
  readonly table = signal("");
  readonly shown = signal<ShownRows | null>(null);
  readonly problem = signal("");
  readonly conflicts = signal<ConflictFacts[]>([]);
  /** Cells that others wrote just now: "key column" -> who. */
  readonly glowing = signal<ReadonlyMap<string, string>>(new Map());

  private place: Place = {};
  private first: number | null = 0;
  private watch = 0;
  private writers = new Map<string, string>(); // key of a row -> who changed it, since the last page
  private history = new Map<string, WrittenFacts[]>();
  private closed = false;
  private readonly timer: number;
  private readonly stops: (() => void)[];
  private readonly rows: Fresh<Page>;
  private readonly aside: Fresh<{ conflicts: ConflictFacts[] }>;

  constructor(public path: string) {
    this.rows = new Fresh(
      () => this.askRows(this.table.peek(), this.place),
      (page) => this.take(page),
      ROWS_EVERY,
    );
    this.aside = new Fresh(
      () => ask<{ conflicts: ConflictFacts[] }>("db_conflicts", { path: this.path }),
      (answer) => {
        this.conflicts.value = answer.conflicts;
      },
      500,
    );
    this.stops = [onOpen(() => void this.begin()), onEvent((event) => this.hear(event))];
    this.timer = window.setInterval(() => {
      if (!document.hidden && link.peek() === "open") this.aside.soon();
    }, LOOK_EVERY);
    if (link.peek() === "open") void this.begin();
  }

  close(): void {
    this.closed = true;
    window.clearInterval(this.timer);
    for (const stop of this.stops) stop();
    void this.unwatch();
  }

  /** Look at everything anew: it was opened, or the connection was lost in between. */
  async begin(): Promise<void> {
    try {
      const { tables } = await ask<{ tables: TableName[] }>("db_tables", { path: this.path });
      if (this.closed) return;
      this.tables.value = tables;
      const now = this.table.peek();
      const next = tables.some((one) => one.name === now) ? now : (tables[0]?.name ?? "");
      this.problem.value = "";
      this.aside.soon();
      this.watch = 0;
      if (next) await this.show(next, next === now ? this.place : {});
      else this.shown.value = null;
    } catch (error) {
      this.fail(error);
    }
  }

  /** Show a table, from its first row on. */
  async show(name: string, place: Place = {}, first: number | null = 0): Promise<void> {
    try {
      const page = await this.askRows(name, place);
      if (this.closed) return;
      batch(() => {
        this.table.value = name;
        this.place = place;
        this.first = first;
        this.history.clear();
        this.shown.value = null; // another page: nothing of it has changed
        this.take(page);
      });
      await this.watchTable(name);
    } catch (error) {
      this.fail(error);
    }
  }

  next(): Promise<void> {
    const now = this.shown.peek();
    const last = now?.rows.at(-1);
    if (!now?.later || !last) return Promise.resolve();
    const first = now.first === null ? null : now.first + now.rows.length;
    const place = now.table.editable ? { after: last.key } : { offset: first ?? 0 };
    return this.show(now.table.name, place, first);
  }

  previous(): Promise<void> {
    const now = this.shown.peek();
    const top = now?.rows[0];
    if (!now?.earlier) return Promise.resolve();
    const first = now.first === null ? null : Math.max(0, now.first - PAGE_ROWS);
    if (first === 0 || !top) return this.show(now.table.name);
    const place = now.table.editable ? { before: top.key } : { offset: first ?? 0 };
    return this.show(now.table.name, place, first);
  }

  last(): Promise<void> {
    const now = this.shown.peek();
    if (!now) return Promise.resolve();
    const first = now.count === null ? null : Math.max(0, now.count - PAGE_ROWS);
    if (now.table.editable) return this.show(now.table.name, { end: true }, first);
    return first === null ? this.next() : this.show(now.table.name, { offset: first }, first);
  }

  /** The whole of a cell. */
  async whole(key: Value[], column: string): Promise<Value> {
    const asked = { path: this.path, table: this.table.peek(), key, column };
    return (await ask<{ value: Value }>("db_cell", asked)).value;
  }

  async setCell(key: Value[], column: string, value: Value): Promise<void> {
    await ask("db_set_cell", { path: this.path, table: this.table.peek(), key, column, value });
    this.changedHere(key);
  }

  /** Add a row and go to where it is. */
  async insert(values: Record<string, Value>): Promise<void> {
    const table = this.table.peek();
    const { key } = await ask<{ key: Value[] | null }>("db_insert_row", {
      path: this.path,
      table,
      values,
    });
    const now = this.shown.peek();
    if (!key || now?.rows.some((row) => keyText(row.key) === keyText(key)) || !now?.later) {
      this.rows.soon();
      return;
    }
    await this.last(); // most keys grow; another is found by its own
    if (!this.shown.peek()?.rows.some((row) => keyText(row.key) === keyText(key))) {
      await this.show(table, { at: key }, now.first);
    }
  }

  async remove(key: Value[]): Promise<void> {
    await ask("db_delete_row", { path: this.path, table: this.table.peek(), key });
    this.rows.soon();
  }

  /** Who wrote the cells of a row; asked once for each row while its page is shown. */
  async written(key: Value[]): Promise<WrittenFacts[]> {
    const text = keyText(key);
    const known = this.history.get(text);
    if (known) return known;
    const asked = { path: this.path, table: this.table.peek(), key };
    const { cells } = await ask<{ cells: WrittenFacts[] }>("db_history", asked);
    this.history.set(text, cells);
    return cells;
  }

  private changedHere(key: Value[]): void {
    this.history.delete(keyText(key));
    this.rows.soon();
  }

  private askRows(table: string, place: Place): Promise<Page> {
    return ask<Page>("db_rows", { path: this.path, table, limit: PAGE_ROWS, ...place });
  }

  private take(page: Page): void {
    if (page.table.name !== this.table.peek()) return;
    const { after, at, before: below, end, offset } = this.place;
    const backwards = below !== undefined || end === true;
    const earlier = backwards ? page.more : Boolean(after ?? at ?? offset);
    const later = backwards ? !end : page.more;
    let { first } = this;
    if (!earlier) first = 0;
    else if (end && page.count !== null) first = Math.max(0, page.count - page.rows.length);
    const before = this.shown.peek();
    batch(() => {
      this.problem.value = "";
      this.shown.value = { ...page, first, earlier, later };
      if (before) this.mark(before, page);
    });
    this.writers.clear();
  }

  /** Cells of rows that others changed glow for a while. */
  private mark(before: ShownRows, now: Page): void {
    const old = new Map(before.rows.map((row) => [keyText(row.key), row]));
    const found = new Map<string, string>();
    for (const row of now.rows) {
      const key = keyText(row.key);
      const who = this.writers.get(key);
      if (who === undefined) continue;
      this.history.delete(key);
      const was = old.get(key);
      row.cells.forEach((cell, index) => {
        if (JSON.stringify(cell) !== JSON.stringify(was?.cells[index]))
          found.set(`${key} ${index}`, who);
      });
    }
    if (!found.size) return;
    this.glowing.value = new Map([...this.glowing.peek(), ...found]);
    window.setTimeout(() => {
      const left = new Map(this.glowing.peek());
      for (const key of found.keys()) left.delete(key);
      this.glowing.value = left;
    }, GLOWS);
  }

  private hear(event: { event: string; [field: string]: unknown }): void {
    if (event.event === "resync") {
      this.rows.soon();
      this.aside.soon();
    }
    if (event.event !== "rows" || event.watch !== this.watch) return;
    for (const change of event.changes as ChangeFacts[]) {
      this.writers.set(keyText(change.key), oneLine(change.name));
    }
    this.rows.soon();
    this.aside.soon();
  }

  private async watchTable(name: string): Promise<void> {
    void this.unwatch();
    const watch = ++lastWatch;
    this.watch = watch;
    await ask("db_watch", { watch, path: this.path, table: name });
    this.rows.soon(); // what changed between reading and watching
  }

  private async unwatch(): Promise<void> {
    const { watch } = this;
    this.watch = 0;
    if (watch) await ask("db_unwatch", { watch }).catch(() => undefined);
  }

  private fail(error: unknown): void {
    if (!this.closed && link.peek() === "open") {
      this.problem.value = error instanceof Error ? error.message : String(error);
    }
  }
}
