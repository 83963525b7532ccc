// A simulated VS Code (edits are applied later, and refused if the person typed meanwhile) and a
// simulated server (one party of an operational transformation, as meerkat's core/ot.py).

import { LiveText } from "../src/liveText";
import { Listener, Server, Surface } from "../src/surface";
import { applied, Edit, fromProtocol, inOrder, Position, Rows, rowsOf, textOf, toProtocol } from "../src/rows";

/** Replace `deleted` code points at `at`. Lists are in order and parallel. */
export interface Step {
  at: number;
  deleted: number;
  inserted: string;
}

/** Things that wait to happen; the test decides which is next. */
export class Agenda {
  private waiting: { queue: string; what: () => void }[] = [];

  /** What is put in one queue happens in its order. */
  add(queue: string, what: () => void): void {
    this.waiting.push({ queue, what });
  }

  get queues(): string[] {
    return [...new Set(this.waiting.map(({ queue }) => queue))];
  }

  /** Let the first of a queue happen, and what follows from it at once. */
  async step(queue: string): Promise<void> {
    const index = this.waiting.findIndex((one) => one.queue === queue);
    if (index >= 0) {
      this.waiting.splice(index, 1)[0].what();
      await settled();
    }
  }
}

/** Let everything that waits for nothing happen. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 20; i++) {
    await Promise.resolve();
  }
}

export class Editor implements Surface, Listener {
  live!: LiveText;
  version = 0;
  said: string[] = [];
  private heardText: string;
  private heardVersion = 0;

  constructor(
    private readonly agenda: Agenda,
    private content: string, // of the window; the extension hears of changes later
    private readonly name: string,
  ) {
    this.heardText = content;
  }

  get shown(): string {
    return this.content;
  }

  /** The person replaces a range (UTF-16 units, of the flat text). */
  type(at: number, deleted: number, inserted: string): void {
    const rows = rowsOf(this.content);
    const range = { start: place(rows, at), end: place(rows, at + deleted) };
    this.change([{ range, replacement: inserted }]);
  }

  private change(edits: readonly Edit[]): void {
    this.version++;
    this.content = textOf(applied(rowsOf(this.content), inOrder(edits)));
    const { content, version } = this;
    this.agenda.add(`host ${this.name}`, () => {
      this.heardText = content;
      this.heardVersion = version;
      // VS Code tells of the last range first.
      this.live.change([...edits].reverse().map(({ range, replacement }) => ({ range, text: replacement })));
    });
  }

  text(): string {
    return this.heardText; // the extension's copy
  }

  apply(edits: readonly Edit[]): Promise<boolean> {
    const heard = this.heardVersion;
    return new Promise((resolve) => {
      this.agenda.add(`window ${this.name}`, () => {
        const fits = heard === this.version;
        if (fits) {
          this.change(edits);
        }
        this.agenda.add(`host ${this.name}`, () => resolve(fits));
      });
    });
  }

  changed(): void {}
  editedByOthers(): void {}

  tell(sentence: string): void {
    this.said.push(sentence);
  }

  later(_milliseconds: number, what: () => void): void {
    this.agenda.add(`timer ${this.name}`, what);
  }
}

export function place(rows: Rows, at: number): Position {
  let line = 0;
  while (at > rows[line].length) {
    at -= rows[line++].length + 1;
  }
  return { line, character: at };
}

// --- The server ---

function points(text: string): string[] {
  return [...text];
}

export function applySteps(text: string, steps: readonly Step[]): string {
  const old = points(text);
  let result = "";
  let at = 0;
  for (const step of steps) {
    result += old.slice(at, step.at).join("") + step.inserted;
    at = step.at + step.deleted;
  }
  return result + old.slice(at).join("");
}

/** `steps` as they apply after `over`. `behind`: what `over` inserts at the same place comes first. */
export function transform(steps: readonly Step[], over: readonly Step[], behind: boolean): Step[] {
  const result: Step[] = [];
  for (const step of steps) {
    if (step.inserted !== "") {
      let shift = 0;
      let at: number | null = null;
      for (const other of over) {
        const end = other.at + other.deleted;
        if (other.at > step.at || (other.at === step.at && !behind)) break;
        if (end > step.at) {
          at = other.at + shift + points(other.inserted).length;
          break;
        }
        shift += points(other.inserted).length - other.deleted;
      }
      result.push({ at: at ?? step.at + shift, deleted: 0, inserted: step.inserted });
    }
    let from = step.at;
    const end = step.at + step.deleted;
    let shift = 0;
    const remove = (until: number): void => {
      if (until > from) {
        result.push({ at: from + shift, deleted: until - from, inserted: "" });
      }
    };
    for (const other of over) {
      if (other.at >= end) break;
      if (other.at > from) {
        remove(other.at);
        from = other.at;
      }
      shift += points(other.inserted).length - other.deleted;
      from = Math.max(from, other.at + other.deleted);
    }
    if (from < end) remove(end);
  }
  return result;
}

function flat(rows: Rows, position: Position): number {
  let at = position.character;
  for (let line = 0; line < position.line; line++) {
    at += points(rows[line]).length + 1;
  }
  return at;
}

function stepsOf(text: string, delta: readonly Edit[]): Step[] {
  const rows = rowsOf(text);
  return inOrder(delta).map(({ range, replacement }) => {
    const at = flat(rows, range.start);
    return { at, deleted: flat(rows, range.end) - at, inserted: replacement };
  });
}

function deltaOf(text: string, steps: readonly Step[]): Edit[] {
  const rows = rowsOf(text);
  const old = points(text);
  const at = (count: number): Position => toProtocol(rows, place(rows, old.slice(0, count).join("").length));
  return steps.map((step) => ({
    range: { start: at(step.at), end: at(step.at + step.deleted) },
    replacement: step.inserted,
  }));
}

/** What one editor is to the server. */
class Side {
  received = 0; // edits of the editor's
  applied = 0; // of ours, by the editor
  waiting: Step[][] = []; // ours, that it has not said to have applied

  constructor(
    readonly editor: Editor,
    public content: string, // what the editor had when it last spoke; `waiting` leads from it to the text
  ) {}
}

/** The text, and everyone who has it open. */
export class Node {
  private sides = new Map<string, Side>();
  text: string;

  constructor(
    private readonly agenda: Agenda,
    text: string,
  ) {
    this.text = text;
  }

  server(name: string, editor: Editor): Server {
    return {
      request: (method, params) =>
        new Promise((resolve, reject) => {
          this.agenda.add(`to node from ${name}`, () => {
            const answer = (problem?: string): void => {
              this.agenda.add(`from node to ${name}`, () => (problem ? reject(new Error(problem)) : resolve()));
            };
            this.take(name, editor, method, params as Record<string, unknown>, answer);
          });
        }),
    };
  }

  /** The process dies: what is under way is lost. */
  lose(name: string): void {
    this.sides.delete(name);
  }

  has(name: string): boolean {
    return this.sides.has(name);
  }

  private take(
    name: string,
    editor: Editor,
    method: string,
    params: Record<string, unknown>,
    answer: (problem?: string) => void,
  ): void {
    const side = this.sides.get(name);
    if (method === "open") {
      const content = params.content as string;
      const opened = new Side(editor, content);
      this.sides.set(name, opened);
      answer();
      if (content !== this.text) {
        const steps = [{ at: 0, deleted: points(content).length, inserted: this.text }];
        this.tell(name, opened, content, steps);
      }
    } else if (method === "close") {
      this.sides.delete(name);
      answer();
    } else if (method === "edit" && side !== undefined) {
      const seen = (params.revision as number) - side.applied;
      if (seen < 0 || seen > side.waiting.length) {
        this.sides.delete(name);
        answer("a revision that cannot be");
        return;
      }
      for (const ours of side.waiting.splice(0, seen)) {
        side.content = applySteps(side.content, ours);
        side.applied++;
      }
      let steps = stepsOf(side.content, params.delta as Edit[]);
      let content = applySteps(side.content, steps);
      const waiting = side.waiting;
      side.waiting = [];
      side.content = content;
      side.received++;
      for (const ours of waiting) {
        const rest = transform(ours, steps, false);
        steps = transform(steps, ours, true);
        this.tell(name, side, content, rest);
        content = applySteps(content, rest);
      }
      answer();
      this.edit(steps, name);
      if (content !== this.text) throw new Error(`the server is wrong: ${content} ${this.text}`);
    } else {
      answer();
    }
  }

  /** The text changed; by an editor, or by others. */
  edit(steps: readonly Step[], by?: string): void {
    const before = this.text;
    this.text = applySteps(before, steps);
    for (const [name, side] of this.sides) {
      if (name !== by) {
        this.tell(name, side, before, [...steps]);
      }
    }
  }

  private tell(name: string, side: Side, before: string, steps: Step[]): void {
    side.waiting.push(steps);
    const params = { revision: side.received, delta: deltaOf(before, steps) };
    this.agenda.add(`from node to ${name}`, () => {
      if (this.sides.get(name) === side) {
        side.editor.live.receive(params.revision, params.delta);
      }
    });
  }
}

/** A place of the protocol in a text, for tests. */
export function inEditor(text: string, position: Position): Position {
  return fromProtocol(rowsOf(text), position);
}
