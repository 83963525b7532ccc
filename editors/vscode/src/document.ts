// One open document of a shared folder: between VS Code and its live text. When it is saved, whose
// change it was, what is drawn in it.

import * as fs from "node:fs";
import * as path from "node:path";
import * as vscode from "vscode";

import { LiveText } from "./liveText";
import { People } from "./people";
import { Process } from "./process";
import { Edit, Range, withLineFeeds } from "./rows";
import { Listener, Surface } from "./surface";

const SAVE_DELAY = 200; // ms without further edits of others before their edits are saved (guess)
const LONGEST_SAVE_DELAY = 2000; // ms; others who never pause don't keep the disk from following
const DISK_WAIT = 300; // ms given to meerkat to read what VS Code just read from the disk (guess)
const SAVE_WAIT = 400; // ms given to meerkat to read another program's save before we write over it (guess)
const NEW_FILE_TRIES = 3; // a file that was just made is not yet a shared text

/** What a document needs of its folder. */
export interface LiveFolder {
  readonly process: Process;
  readonly people: People;
  /** The state of one of its documents changed. */
  showStatus(): void;
}

interface Style {
  cursor: vscode.TextEditorDecorationType;
  selection: vscode.TextEditorDecorationType;
}

const styles = new Map<string, Style>(); // by color

function vsRange(range: Range): vscode.Range {
  const { start, end } = range;
  return new vscode.Range(start.line, start.character, end.line, end.character);
}

function plainRange(anchor: vscode.Position, active: vscode.Position): Range {
  return {
    start: { line: anchor.line, character: anchor.character },
    end: { line: active.line, character: active.character },
  };
}

/** The text of a file as it is on the disk, with LF line ends; "" if there is none. */
function onDisk(file: string, mark = false): string {
  try {
    const text = fs.readFileSync(file, "utf8");
    return withLineFeeds(!mark && text.startsWith("\ufeff") ? text.slice(1) : text);
  } catch {
    return "";
  }
}

/** What tells one state of a file from another. */
function stateOnDisk(file: string): string {
  try {
    const { mtimeMs, size, ino } = fs.statSync(file);
    return `${mtimeMs} ${size} ${ino}`;
  } catch {
    return "";
  }
}

/** One open document of a shared folder. */
export class LiveDocument<F extends LiveFolder = LiveFolder> implements Surface, Listener {
  readonly live: LiveText;
  unsaved = false; // the person has changes that are not saved
  tries = 0;
  private timer: NodeJS.Timeout | null = null;
  private due = 0;
  private told = "";
  private disk: string; // the file as VS Code last read or wrote it

  constructor(
    readonly document: vscode.TextDocument,
    readonly folder: F,
  ) {
    const mark = onDisk(document.fileName, true).startsWith("\ufeff");
    this.unsaved = document.isDirty;
    this.disk = stateOnDisk(document.fileName);
    this.live = new LiveText(document.uri.toString(), this, folder.process, this, () => Date.now(), mark);
  }

  // Surface

  text(): string {
    return this.document.getText();
  }

  async apply(edits: readonly Edit[], first: boolean): Promise<boolean> {
    const editor = vscode.window.visibleTextEditors.find((one) => one.document === this.document);
    if (editor !== undefined) {
      return editor.edit(
        (builder) => edits.forEach(({ range, replacement }) => builder.replace(vsRange(range), replacement)),
        { undoStopBefore: first, undoStopAfter: false },
      );
    }
    const edit = new vscode.WorkspaceEdit();
    for (const { range, replacement } of edits) {
      edit.replace(this.document.uri, vsRange(range), replacement);
    }
    return vscode.workspace.applyEdit(edit);
  }

  // Listener

  changed(): void {
    if (this.live.state === "open") {
      this.tries = 0;
      this.sendCursor();
      this.draw();
    } else if (this.live.state === "refused" && this.tries > 0 && this.tries <= NEW_FILE_TRIES) {
      this.later(300 * this.tries, () => this.reopenRefused());
    }
    this.folder.showStatus();
  }

  editedByOthers(): void {
    if (!this.unsaved && vscode.workspace.getConfiguration("meerkat").get<boolean>("save", true)) {
      const now = Date.now();
      this.due ||= now + LONGEST_SAVE_DELAY;
      if (this.timer !== null) {
        clearTimeout(this.timer);
      }
      this.timer = setTimeout(() => void this.save(), Math.max(0, Math.min(SAVE_DELAY, this.due - now)));
    }
    this.draw();
  }

  tell(sentence: string): void {
    void vscode.window.showWarningMessage(`${path.basename(this.document.fileName)}: ${sentence}`);
  }

  later(milliseconds: number, what: () => void): void {
    setTimeout(what, milliseconds);
  }

  // What VS Code tells

  documentChanged(event: vscode.TextDocumentChangeEvent): void {
    const before = this.live.serverRevision;
    this.live.change(
      event.contentChanges.map(({ range, text }) => ({ range: plainRange(range.start, range.end), text })),
    );
    if (this.live.serverRevision === before) {
      this.unsaved = true;
    }
  }

  /** Did this change come from the disk, and not from the person or from others? */
  isFromDisk(event: vscode.TextDocumentChangeEvent): boolean {
    // Reading the disk leaves a document clean; but so, at this moment, does the first key typed.
    return (
      !event.document.isDirty &&
      event.reason === undefined &&
      !this.live.expects(this.text()) &&
      onDisk(this.document.fileName) === withLineFeeds(this.text())
    );
  }

  /** VS Code read the file again, since another program saved it (or the person reverted). */
  diskWasRead(): void {
    this.disk = stateOnDisk(this.document.fileName);
    this.live.pause();
    this.later(DISK_WAIT, () => this.live.reloaded());
  }

  /** About to save. If another program did, its change is to be here first. */
  async willSave(): Promise<void> {
    if (this.live.state === "open" && stateOnDisk(this.document.fileName) !== this.disk) {
      await new Promise((resolve) => setTimeout(resolve, SAVE_WAIT));
    }
  }

  saved(): void {
    this.disk = stateOnDisk(this.document.fileName);
    this.unsaved = false;
    this.due = 0;
    this.live.verify();
    this.reopenRefused();
  }

  private reopenRefused(): void {
    if (this.live.state === "refused" && this.folder.process.running) {
      this.live.open();
    }
  }

  private async save(): Promise<void> {
    this.timer = null;
    this.due = 0;
    if (this.unsaved || !this.document.isDirty || this.live.state !== "open") {
      return;
    }
    if (vscode.window.activeTextEditor?.document === this.document) {
      await vscode.commands.executeCommand("workbench.action.files.saveWithoutFormatting");
      return;
    }
    const settings = vscode.workspace.getConfiguration("editor", this.document);
    const actions = Object.keys(settings.get<object>("codeActionsOnSave") ?? {});
    if (!settings.get<boolean>("formatOnSave") && actions.length === 0) {
      await this.document.save(); // with them, saving would change what others are writing
    }
  }

  /** Tell the others where we are. */
  sendCursor(): void {
    const editor = vscode.window.activeTextEditor;
    const here = editor !== undefined && editor.document === this.document ? editor.selections : [];
    const ranges = here.map(({ anchor, active }) => plainRange(anchor, active));
    const told = JSON.stringify(ranges);
    if (told !== this.told || ranges.length > 0) {
      this.told = told;
      this.live.cursor(ranges);
    }
  }

  /** Draw the others' cursors. */
  draw(): void {
    for (const editor of vscode.window.visibleTextEditors) {
      if (editor.document !== this.document) {
        continue;
      }
      const byColor = new Map<string, { cursors: vscode.DecorationOptions[]; selections: vscode.Range[] }>();
      for (const place of this.live.state === "open" ? this.folder.people.in(this.live.uri) : []) {
        const drawn = byColor.get(place.color) ?? { cursors: [], selections: [] };
        byColor.set(place.color, drawn);
        place.ranges.forEach((range, i) => {
          const { start, end } = this.live.place(range);
          const at = new vscode.Position(end.line, end.character);
          const named = i === 0 && vscode.workspace.getConfiguration("meerkat").get<boolean>("names", true);
          drawn.cursors.push({
            range: new vscode.Range(at, at),
            hoverMessage: place.name,
            renderOptions: named
              ? { after: { contentText: place.name, backgroundColor: place.color, color: "#ffffff", margin: "0 0 0 2px" } }
              : undefined,
          });
          drawn.selections.push(vsRange({ start, end }));
        });
      }
      for (const color of byColor.keys()) {
        styleOf(color);
      }
      for (const [color, style] of styles) {
        editor.setDecorations(style.cursor, byColor.get(color)?.cursors ?? []);
        editor.setDecorations(style.selection, byColor.get(color)?.selections ?? []);
      }
    }
  }

  close(): void {
    if (this.timer !== null) {
      clearTimeout(this.timer);
    }
    this.live.close();
  }
}

function styleOf(color: string): void {
  if (!styles.has(color)) {
    styles.set(color, {
      cursor: vscode.window.createTextEditorDecorationType({
        borderColor: color,
        borderStyle: "solid",
        borderWidth: "0 0 0 2px",
        overviewRulerColor: color,
        overviewRulerLane: vscode.OverviewRulerLane.Right,
        rangeBehavior: vscode.DecorationRangeBehavior.ClosedOpen,
      }),
      selection: vscode.window.createTextEditorDecorationType({ backgroundColor: `${color}40` }),
    });
  }
}

/** Nothing is drawn any more. */
export function forgetStyles(): void {
  for (const { cursor, selection } of styles.values()) {
    cursor.dispose();
    selection.dispose();
  }
  styles.clear();
}
