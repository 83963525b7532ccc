// Meerkat in VS Code: which documents are live, the commands, what is drawn. The logic of a text is
// in liveText.ts, which knows nothing of VS Code.

import * as fs from "node:fs";
import * as path from "node:path";
import * as vscode from "vscode";

import { Listener, LiveText, Surface } from "./liveText";
import { People, Place } from "./people";
import { Hearer, Process } from "./process";
import { Edit, Range, withLineFeeds } from "./rows";

const SAVE_DELAY = 200; // ms without further edits of others before their edits are saved (guess)
const LONGEST_SAVE_DELAY = 2000; // ms; others who never pause don't keep the disk from following
const DISK_WAIT = 300; // ms given to meerkat to read what VS Code just read from the disk (guess)
const SAVE_WAIT = 400; // ms given to meerkat to read another program's save before we write over it (guess)
const NEW_FILE_TRIES = 3; // a file that was just made is not yet a shared text

let folders: Map<string, Folder>;
let status: vscode.StatusBarItem;
let following: { folder: Folder; name: string } | null = null;
const styles = new Map<string, { cursor: vscode.TextEditorDecorationType; selection: vscode.TextEditorDecorationType }>();

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

/** The shared folder that holds a file, or null. */
function rootOf(file: string): string | null {
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    try {
      if (fs.statSync(path.join(folder, ".meerkat")).isDirectory()) {
        return folder;
      }
    } catch {
      // not here: look further up
    }
    if (folder === path.dirname(folder)) {
      return null;
    }
  }
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
class LiveDocument implements Surface, Listener {
  readonly live: LiveText;
  unsaved = false; // the person has changes that are not saved
  tries = 0;
  private timer: NodeJS.Timeout | null = null;
  private due = 0;
  private told = "";
  private disk: string; // the file as VS Code last read or wrote it

  constructor(
    readonly document: vscode.TextDocument,
    readonly folder: Folder,
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
    showStatus();
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

/** One shared folder: its process, its documents, its people. */
class Folder implements Hearer {
  readonly people = new People();
  readonly process: Process;
  readonly documents = new Map<vscode.TextDocument, LiveDocument>();
  problem = "";
  private told = false;

  constructor(readonly root: string) {
    const command = vscode.workspace.getConfiguration("meerkat").get<string[]>("command", ["meerkat", "editor"]);
    this.process = new Process(command, root, this);
  }

  add(document: vscode.TextDocument): void {
    if (!this.documents.has(document)) {
      const one = new LiveDocument(document, this);
      this.documents.set(document, one);
      this.process.start();
      if (this.process.running) {
        one.live.reconnect();
      }
    }
  }

  remove(document: vscode.TextDocument): void {
    this.documents.get(document)?.close();
    this.documents.delete(document);
  }

  started(): void {
    for (const one of this.documents.values()) {
      one.live.reconnect();
    }
    showStatus();
  }

  ended(sentence: string): void {
    this.problem = sentence;
    this.people.clear();
    for (const one of this.documents.values()) {
      one.live.disconnect();
      one.draw();
    }
    this.offline(sentence);
  }

  heard(method: string, params: Record<string, unknown>): void {
    if (method === "cursor") {
      const uri = this.people.hear(params);
      this.find(uri)?.draw();
      if (following?.folder === this) {
        const { name } = following;
        const place = this.people.all().find((one) => one.name === name && one.uri === uri);
        if (place !== undefined) {
          void goTo(place, this);
        }
      }
      showStatus();
      return;
    }
    const one = this.find(params.uri);
    if (one === undefined) {
      return;
    }
    if (method === "edit") {
      one.live.receive(params.revision, params.delta);
    } else if (method === "closed") {
      one.live.closed(String(params.reason ?? ""), String(params.text ?? ""));
    } else if (method === "moved" && typeof params.to === "string") {
      void moved(one, params.to);
    } else if (method === "live") {
      one.live.offline = params.live !== true;
      if (one.live.offline) {
        this.offline("the folder's process is not running");
      } else {
        this.told = false;
      }
      showStatus();
    }
  }

  find(uri: unknown): LiveDocument | undefined {
    return [...this.documents.values()].find((one) => one.live.uri === uri);
  }

  private offline(why: string): void {
    if (!this.told) {
      this.told = true;
      void vscode.window.showInformationMessage(
        `Meerkat: not live just now: ${why}. Your edits are kept and sent when it is back.`,
      );
    }
    showStatus();
  }

  stop(): void {
    for (const one of this.documents.values()) {
      one.close();
    }
    this.process.stop();
  }
}

/** The file has another name: VS Code has no way to rename a document, so the other one is opened. */
async function moved(one: LiveDocument, to: string): Promise<void> {
  const uri = vscode.Uri.parse(to, true);
  if (uri.scheme !== "file" || rootOf(uri.fsPath) !== one.folder.root) {
    return;
  }
  const old = one.document;
  const shown = vscode.window.visibleTextEditors.filter((editor) => editor.document === old);
  one.folder.remove(old);
  for (const editor of shown) {
    await vscode.window.showTextDocument(uri, {
      viewColumn: editor.viewColumn,
      selection: editor.selection,
      preserveFocus: editor !== vscode.window.activeTextEditor,
      preview: false,
    });
  }
  void vscode.window.showInformationMessage(
    `${path.basename(old.fileName)} is ${path.basename(uri.fsPath)} now.`,
  );
}

function attach(document: vscode.TextDocument): void {
  if (document.uri.scheme !== "file" || document.isClosed) {
    return;
  }
  const root = rootOf(document.fileName);
  if (root === null || document.fileName.startsWith(path.join(root, ".meerkat") + path.sep)) {
    return;
  }
  let folder = folders.get(root);
  if (folder === undefined) {
    folder = new Folder(root);
    folders.set(root, folder);
  }
  folder.add(document);
}

function liveOf(document: vscode.TextDocument | undefined): LiveDocument | undefined {
  for (const folder of folders.values()) {
    const one = document && folder.documents.get(document);
    if (one !== undefined) {
      return one;
    }
  }
  return undefined;
}

const STATES: Record<string, string> = {
  new: "waiting for meerkat",
  opening: "opening",
  open: "live",
  waiting: "offline: your edits are kept and sent later",
  refused: "not live",
  closed: "closed",
};

function stateOf(one: LiveDocument): string {
  const { state, offline, reason } = one.live;
  return STATES[state === "open" && offline ? "waiting" : state] + (reason ? ` (${reason})` : "");
}

function showStatus(): void {
  const one = liveOf(vscode.window.activeTextEditor?.document);
  if (one === undefined) {
    status.hide();
    return;
  }
  const names = new Set(one.folder.people.in(one.live.uri).map(({ name }) => name));
  const live = one.live.state === "open" && !one.live.offline;
  const icon = live ? "$(broadcast)" : one.live.state === "refused" ? "$(circle-slash)" : "$(debug-disconnect)";
  status.text = `${icon} ${names.size > 0 ? [...names].join(", ") : "meerkat"}`;
  status.tooltip = `Meerkat: ${stateOf(one)}`;
  status.show();
}

async function goTo(place: Place, folder: Folder): Promise<void> {
  const uri = vscode.Uri.parse(place.uri, true);
  if (uri.scheme !== "file" || rootOf(uri.fsPath) !== folder.root) {
    return;
  }
  const editor = await vscode.window.showTextDocument(uri, { preview: false });
  const range = folder.find(place.uri)?.live.place(place.ranges[0]) ?? place.ranges[0];
  const at = new vscode.Position(range.end.line, range.end.character);
  editor.revealRange(new vscode.Range(at, at), vscode.TextEditorRevealType.InCenterIfOutsideViewport);
}

/** Let the person choose someone. */
async function choose(title: string): Promise<{ place: Place; folder: Folder } | undefined> {
  const items = [...folders.values()].flatMap((folder) =>
    folder.people.all().map((place) => ({
      label: place.name,
      description: `${path.relative(folder.root, vscode.Uri.parse(place.uri).fsPath)}:${place.ranges[0].end.line + 1}`,
      place,
      folder,
    })),
  );
  if (items.length === 0) {
    void vscode.window.showInformationMessage("Meerkat: nobody else is here.");
    return undefined;
  }
  return vscode.window.showQuickPick(items, { title });
}

function unfollow(): void {
  if (following !== null) {
    vscode.window.setStatusBarMessage(`Meerkat: not following ${following.name} any more`, 3000);
    following = null;
  }
}

export function activate(context: vscode.ExtensionContext): void {
  folders = new Map();
  status = vscode.window.createStatusBarItem(vscode.StatusBarAlignment.Right);
  status.command = "meerkat.people";
  context.subscriptions.push(
    status,
    vscode.workspace.onDidOpenTextDocument(attach),
    vscode.workspace.onDidCloseTextDocument((document) => liveOf(document)?.folder.remove(document)),
    vscode.workspace.onDidChangeTextDocument((event) => {
      const one = liveOf(event.document);
      if (one === undefined) {
        return;
      }
      if (event.contentChanges.length === 0) {
        one.unsaved &&= event.document.isDirty; // only that has changed
        return;
      }
      if (one.isFromDisk(event)) {
        one.diskWasRead();
        return;
      }
      one.documentChanged(event);
      if (one.unsaved) {
        unfollow();
      }
    }),
    vscode.workspace.onWillSaveTextDocument((event) => {
      const one = liveOf(event.document);
      if (one !== undefined) {
        event.waitUntil(one.willSave());
      }
    }),
    vscode.workspace.onDidSaveTextDocument((document) => {
      const one = liveOf(document);
      if (one === undefined) {
        attach(document);
        const made = liveOf(document);
        if (made !== undefined) {
          made.tries = 1;
        }
      } else {
        one.saved();
      }
    }),
    vscode.window.onDidChangeTextEditorSelection((event) => {
      liveOf(event.textEditor.document)?.sendCursor();
      if (event.kind !== undefined) {
        unfollow(); // keyboard, mouse or command: the person moved
      }
    }),
    vscode.window.onDidChangeActiveTextEditor(() => {
      for (const folder of folders.values()) {
        for (const one of folder.documents.values()) {
          one.sendCursor();
        }
      }
      showStatus();
    }),
    vscode.window.onDidChangeVisibleTextEditors((editors) => {
      for (const editor of editors) {
        liveOf(editor.document)?.draw();
      }
    }),
    vscode.commands.registerCommand("meerkat.people", async () => {
      const chosen = await choose("Go to someone's cursor");
      if (chosen !== undefined) {
        await goTo(chosen.place, chosen.folder);
      }
    }),
    vscode.commands.registerCommand("meerkat.follow", async () => {
      const chosen = await choose("Follow someone until you press a key");
      if (chosen !== undefined) {
        following = { folder: chosen.folder, name: chosen.place.name };
        await goTo(chosen.place, chosen.folder);
      }
    }),
    vscode.commands.registerCommand("meerkat.info", () => {
      const one = liveOf(vscode.window.activeTextEditor?.document);
      void vscode.window.showInformationMessage(
        one === undefined ? "Meerkat: this file is in no shared folder." : `Meerkat: ${stateOf(one)}.`,
      );
    }),
    { dispose: stop },
  );
  vscode.workspace.textDocuments.forEach(attach);
}

function stop(): void {
  for (const folder of folders.values()) {
    folder.stop();
  }
  folders.clear();
  for (const { cursor, selection } of styles.values()) {
    cursor.dispose();
    selection.dispose();
  }
  styles.clear();
}

export function deactivate(): void {
  stop();
}
